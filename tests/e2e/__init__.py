"""End-to-end tests: Kubernetes, Argo CD, this repository and client traffic on one machine."""
