"""Commands that deploy by committing to the environments' branches, and summarise plans."""
