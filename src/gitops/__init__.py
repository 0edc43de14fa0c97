"""Commands that deploy a build by committing its image tag to an environment's overlay."""
