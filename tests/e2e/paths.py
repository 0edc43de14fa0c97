"""The directories and files of the cluster.

They are outside of the repository because some of them contain mounts.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("E2E_DIR", "/var/tmp/game-api-e2e")).resolve()

BUILT = HOME / "built"  # programs and images, kept so that the next start is quick
PROGRAMS = BUILT / "programs"
RUN = HOME / "run"  # files of the current or the last cluster, removed before the next start
LOGS = RUN / "logs"
KUBECONFIG = RUN / "kubeconfig"
REPOSITORIES = RUN / "repositories"
REMOTE = REPOSITORIES / "game-studio/game-api.git"
CHECKOUT = RUN / "checkout"
IMAGES = RUN / "images.tar"
RELEASES = RUN / "releases.json"
CERTIFICATE = BUILT / "certificate.pem"  # of all servers outside of the cluster, with its key
REPORT = HOME / "report.md"
