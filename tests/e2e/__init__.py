"""The whole of it on one machine: Kubernetes, Argo CD, this repository, and players."""
