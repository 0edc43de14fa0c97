"""Commands that deploy a build by committing its image tag, and that summarise Terraform plans."""
