output "user_interface" {
  description = "How to open Argo CD's user interface."
  value       = "kubectl -n argocd port-forward service/argocd-server 8080:443, then https://localhost:8080"
}
