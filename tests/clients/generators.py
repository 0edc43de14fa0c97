"""The generators of clients, and the commands that make, compile and run a client with each.

All commands run in a scratch folder of the language, which has a copy of `tests/clients/LANGUAGE`.
The document is `../openapi.json`, and everything that is generated goes into `generated/`.
"""

import sys
from dataclasses import dataclass

Command = tuple[str, ...]

COPY_JARS: Command = (
    *("mvn", "--quiet", "--batch-mode"),
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
    "-DexcludeTransitive=true",
)
JAVA_SOURCES = "$(find generated/src Flow.java -name '*.java')"


@dataclass(frozen=True)
class Generator:
    """A generator, and how its client is made."""

    language: str
    name: str
    programs: tuple[str, ...]
    """The programs that must be installed."""
    pins: tuple[str, ...]
    """The files that pin the generator; it is prepared again if one of them has changed."""
    prepare: tuple[Command, ...]
    generate: tuple[Command, ...]
    compile: tuple[Command, ...]
    flow: Command
    note: str = ""
    """Where the generator falls short."""


JAVA = Generator(
    language="java",
    name="openapi-generator (native)",
    programs=("java", "javac", "mvn", "sha256sum"),
    pins=("pom.xml", "jars.sha256"),
    prepare=(
        (
            *COPY_JARS,
            "-DoutputDirectory=generator",
            "-DincludeArtifactIds=openapi-generator-cli",
        ),
        (*COPY_JARS, "-DoutputDirectory=jars", "-DexcludeArtifactIds=openapi-generator-cli"),
        ("sha256sum", "--check", "--strict", "--quiet", "jars.sha256"),
    ),
    generate=(
        (
            *("java", "-cp", "generator/*", "org.openapitools.codegen.OpenAPIGenerator"),
            *("generate", "--config", "openapi-generator.yaml"),
            *("--input-spec", "../openapi.json", "--output", "generated"),
        ),
    ),
    compile=(("bash", "-c", f"javac -nowarn -d generated/classes -cp 'jars/*' {JAVA_SOURCES}"),),
    flow=("java", "-cp", "generated/classes:jars/*", "Flow"),
    note="the client throws the text of the body; the flow reads it into the generated Problem",
)

GO = Generator(
    language="go",
    name="oapi-codegen",
    programs=("go",),
    pins=("go.mod", "go.sum"),
    prepare=(("go", "mod", "download"), ("go", "mod", "verify")),
    generate=(("go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", "../openapi.json"),),
    compile=(("go", "vet", "./..."), ("go", "build", "-o", "generated/flow", ".")),
    flow=("generated/flow",),
)

TYPESCRIPT = Generator(
    language="typescript",
    name="openapi-typescript, openapi-fetch",
    programs=("node", "npm"),
    pins=("package.json", "package-lock.json"),
    prepare=(("npm", "ci", "--no-audit", "--no-fund"),),
    generate=(
        (
            *("npm", "exec", "--", "openapi-typescript", "../openapi.json"),
            *("--output", "generated/api.ts"),
            # Otherwise a member of a request with a default value would be required.
            "--default-non-nullable=false",
        ),
    ),
    compile=(("npm", "exec", "--", "tsc"),),
    flow=("node", "generated/javascript/flow.js"),
)

PYTHON = Generator(
    language="python",
    name="openapi-python-client",
    programs=(),
    pins=("clients.txt",),
    prepare=(
        (sys.executable, "-m", "venv", "--clear", "venv"),
        (
            *("venv/bin/python", "-m", "pip", "install", "--quiet", "--require-hashes"),
            *("--disable-pip-version-check", "-r", "clients.txt"),
        ),
    ),
    generate=(
        (
            *("venv/bin/openapi-python-client", "generate", "--path", "../openapi.json"),
            *("--output-path", "generated/game_api_client", "--meta", "none"),
            *("--config", "config.yaml", "--fail-on-warning"),
        ),
    ),
    compile=(("env", "MYPYPATH=generated", "venv/bin/mypy", "--strict", "flow.py", "generated"),),
    flow=("env", "PYTHONPATH=generated", "venv/bin/python", "flow.py"),
)

GENERATORS = (JAVA, GO, TYPESCRIPT, PYTHON)
"""Those that take longest come first."""
