"""The project's sessions: `nox` runs the first five, `nox -s NAME` any of them.

They share the environment that nox itself runs in, so that torch is installed once. What a person
may want to look at afterwards is left in `output/`: executed notebooks, the demo, the record of `arena verify`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests", "curriculum", "build"]

CONSTRAINTS = str(Path("constraints.txt").resolve())
PEER_CONSTRAINTS = str(Path("constraints-peers.txt").resolve())
PEERS = Path(".nox/peers").resolve()
"""The environment of libraries that our own dependencies are too new for."""
LOWEST = Path(".nox/lowest").resolve()
"""The environment of the lowest versions that `pyproject.toml` allows."""
OUTPUT = Path("output").resolve()
SCRIPTS = Path(sys.executable).parent
AS_ROOT_ALREADY = hasattr(os, "geteuid") and os.geteuid() == 0
WITHOUT_NETWORK = ["unshare", "-n" if AS_ROOT_ALREADY else "-rn", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']


def install(session: nox.Session, *extra_groups: str) -> None:
    """Brings the library and everything that its own checks need, at the pinned versions."""
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "dev", *extra_groups)
    session.run(sys.executable, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, "-e", ".[notebook,real,rl]", *group)


def offline() -> list[str]:
    """A prefix that runs a command with no network but loopback, where the system lets us (Linux)."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return []
    trial = subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, check=False)
    return WITHOUT_NETWORK if trial.returncode == 0 else []


def keep(session: nox.Session, name: str, *command: str) -> str:
    """Runs a command and leaves what it prints in `output/`, also when it fails; then it is shown as well."""
    path = OUTPUT / name
    OUTPUT.mkdir(exist_ok=True)
    try:
        with path.open("w") as file:
            session.run(*command, stdout=file, stderr=None, env={"PYTHONIOENCODING": "utf-8"})
    except nox.command.CommandFailed:
        session.error(path.read_text(encoding="utf-8"))
    return path.read_text(encoding="utf-8")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and the direction of imports."""
    install(session)
    session.run(str(SCRIPTS / "ruff"), "check")
    session.run(str(SCRIPTS / "ruff"), "format", "--check")
    session.run(str(SCRIPTS / "lint-imports"))


@nox.session
def types(session: nox.Session) -> None:
    """Static types."""
    install(session)
    session.run(str(SCRIPTS / "mypy"))


@nox.session
def tests(session: nox.Session) -> None:
    """The library's own tests and doctests, without a network where the system allows that."""
    install(session, "agreement")
    arguments = session.posargs or [
        "-n",
        "2",
        "--durations",
        "40",
        "-m",
        "not real and not browser",
        "src",
        "tests",
        "benchmarks",
    ]
    session.run(*offline(), sys.executable, "-m", "pytest", "-q", *arguments)


@nox.session
def curriculum(session: nox.Session) -> None:
    """Every exercise's test is itself tested, and every solution notebook runs at scale `tiny`."""
    install(session)
    keep(session, "verify.json", *offline(), str(SCRIPTS / "arena"), "verify", "--json")
    session.run(*offline(), sys.executable, "-m", "arena_lib.course.executing", "--scale", "tiny", "--limit", "45")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Every solution notebook at scale `full`, as people run them."""
    install(session)
    session.run(*offline(), sys.executable, "-m", "arena_lib.course.executing", "--scale", "full", "--limit", "300")


@nox.session
def build(session: nox.Session) -> None:
    """The wheel in an empty environment outside the checkout: chapters and weights travel in it."""
    install(session)
    shutil.rmtree("dist", ignore_errors=True)
    session.run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", "dist", ".")
    wheel = str(next(Path("dist").glob("*.whl")).resolve())
    with tempfile.TemporaryDirectory() as folder:
        session.run(sys.executable, "-m", "venv", f"{folder}/venv")
        scripts = Path(folder) / "venv" / SCRIPTS.name
        session.run(str(scripts / "python"), "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheel)
        with session.chdir(folder):
            session.run(*offline(), str(scripts / "arena"), "list")
            bundled = "zoo.path(name) for name in zoo.names() if zoo.info(name).source == 'bundled'"  # checks hashes
            session.run(*offline(), str(scripts / "python"), "-c", f"from arena_lib import zoo; print([{bundled}])")
            demo = [str(scripts / "arena"), "demo", "--output", str(OUTPUT / "demo.html")]
            session.log(keep(session, "demo.txt", *offline(), *demo))


@nox.session
def browser(session: nox.Session) -> None:
    """A notebook in JupyterLab, the demo's report and latents' pages in a Chromium; pictures in `output/browser/`."""
    install(session, "browser")
    bring_chromium(session)
    session.run(*offline(), sys.executable, "-m", "pytest", "-q", "-m", "browser", "tests/browser")


@nox.session
def site(session: nox.Session) -> None:
    """The course's site in `output/site`; what a chapter's notebook shows comes from `output/notebooks`, if it's current.

    Chapters that are named after `--` are the only ones on it, for a quick look.
    """
    install(session, "browser", "site")
    bring_chromium(session)
    execute = (sys.executable, "-m", "arena_lib.course.executing", *session.posargs, "--reuse")
    session.run(*offline(), *execute, "--scale", "tiny", "--limit", "300")
    shutil.rmtree(OUTPUT / "site", ignore_errors=True)
    options = ("-b", "html", "-q", "-W", "--keep-going", "-j", "2", "-d", str(OUTPUT / "site-cache"))
    chapters = {"ARENA_SITE_SECTIONS": " ".join(session.posargs)}
    session.run(*offline(), str(SCRIPTS / "sphinx-build"), *options, "docs", str(OUTPUT / "site"), env=chapters)


@nox.session
def figures(session: nox.Session) -> None:
    """Draws the PNG of every SVG in `chapters/` that has changed."""
    install(session, "browser")
    bring_chromium(session)
    session.run(sys.executable, "-m", "arena_lib.course.authoring.drawing", "chapters")


def bring_chromium(session: nox.Session) -> None:
    """Installs Chromium where that takes one command; elsewhere the missing browser is said by what needs it."""
    if not shutil.which("chromium") and shutil.which("apt-get") and AS_ROOT_ALREADY:
        session.run("apt-get", "update", "-qq", external=True)
        session.run("apt-get", "install", "-y", "-qq", "chromium", external=True)


@nox.session
def real(session: nox.Session) -> None:
    """Fetches SmolLM2-135M-Instruct and the sets of labelled texts, and runs the tests that need them."""
    install(session)
    for name in ("smollm2", "sae-probes"):
        session.run(str(SCRIPTS / "arena"), "zoo", "fetch", name)
        # Without it every one of its tests would be skipped, and the session would pass.
        session.run(sys.executable, "-c", f"from arena_lib import zoo; assert zoo.is_available({name!r})")
    session.run(*offline(), sys.executable, "-m", "pytest", "-q", "-m", "real", "tests")


@nox.session
def lowest(session: nox.Session) -> None:
    """The fast part of the tests at the lowest versions that `pyproject.toml` allows, in an environment of its own.

    What follows `--` holds packages at other versions. `nox -s lowest -- torch==2.13.0+cpu`, with that wheel in a
    folder that UV_FIND_LINKS names, spares the gigabytes of an old torch for CUDA; only so has it been run.
    """
    install(session, "lowest")
    uv, versions = str(SCRIPTS / "uv"), str(OUTPUT / "lowest.txt")
    OUTPUT.mkdir(exist_ok=True)
    held = OUTPUT / "held.txt"
    held.write_text("".join(f"{requirement}\n" for requirement in session.posargs))
    extras = [word for extra in ("notebook", "real", "rl") for word in ("--extra", extra)]
    options = ("--resolution", "lowest-direct", "--python-version", "3.11", "-c", str(held), "-q", "-o", versions)
    session.run(uv, "pip", "compile", "pyproject.toml", *extras, *options)
    session.run(uv, "venv", "-q", "--allow-existing", "--python", "3.11", str(LOWEST))
    python = str(LOWEST / SCRIPTS.name / "python")
    bring = (uv, "pip", "install", "-q", "--python", python)
    session.run(*bring, "-r", versions)
    session.run(*bring, "-c", versions, "pytest", "hypothesis", "beartype", "nbclient", "ruff")
    session.run(*bring, "--no-deps", "-e", ".")
    fast = ("tests/core", "tests/storyworld", "tests/checking", "tests/transformer", "tests/test_repository.py")
    session.run(python, "-m", "pytest", "-q", "-m", "not real", *fast)


@nox.session
def mutants(session: nox.Session) -> None:
    """What the tests catch: edits of every reference by its exercise's test, and of the library by its own tests."""
    install(session)
    session.run(*offline(), str(SCRIPTS / "arena"), "verify", "--table", "docs/mutants.md")
    folders = [f"src/arena_lib/{name}" for name in ("core", "checking", "transformer", "interp")]
    sample = session.posargs or ["--each", "2", "--seed", "0"]
    command = (sys.executable, "-m", "tests.mutation", "--report", "docs/mutants_of_library.md", *sample)
    session.run(*offline(), *command, *folders)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks at this device's published size; names and options for them follow `--`."""
    install(session, "bench")
    measure(session, sys.executable, "main")


@nox.session
def peers(session: nox.Session) -> None:
    """The same beside older libraries, and SAELens and circuitsvis on our models, in an environment that it builds."""
    if not PEERS.is_dir():
        session.run(sys.executable, "-m", "venv", str(PEERS))
    python = str(PEERS / SCRIPTS.name / "python")
    pip = (python, "-m", "pip", "install", "-q")
    session.run(*pip, "-c", PEER_CONSTRAINTS, "torch")
    session.run(*pip, "--no-deps", "-r", PEER_CONSTRAINTS)
    session.run(*pip, "--no-deps", "-e", ".")
    session.run(python, "-m", "tests.interp.peers_page")
    session.run(python, "-m", "tests.saes.formats.peers_saelens")
    measure(session, python, "peers")


def measure(session: nox.Session, python: str, environment: str) -> None:
    """Leaves the record in `output/benchmarks/`; a peer that the environment lists must be there."""
    record = str(OUTPUT / "benchmarks" / f"{environment}.json")
    options = ("--environment", environment, "--strict", "--json", record)
    session.run(python, "-m", "benchmarks", "run", *options, *session.posargs)
