"""What deploys: changes of an overlay's image tag, as commits on `main`."""
