"""Where the cluster keeps its files: outside of the repository, since there are mounts in it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("GAME_API_E2E_DIR", "/var/tmp/game-api-e2e")).resolve()

BUILT = HOME / "built"  # programs and images: stays, so that the next start is quick
PROGRAMS = BUILT / "programs"
RUN = HOME / "run"  # the cluster that runs, or ran last: removed before the next one
LOGS = RUN / "logs"
KUBECONFIG = RUN / "kubeconfig"
REMOTE = RUN / "repository.git"
CHECKOUT = RUN / "checkout"
IMAGES = RUN / "images.tar"
RELEASES = RUN / "releases.json"
CERTIFICATE = BUILT / "database.pem"
REPORT = HOME / "report.md"
