"""Runs the jobs of a workflow here, step by step, as GitHub's runner does: conditions, environment, outputs, artifacts.

What it doesn't know of the language of expressions is an error, so that no condition is passed over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT

WORKFLOWS = ROOT / ".github/workflows"
_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|[!(),]|'(?:[^']|'')*'|-?\d+(?:\.\d+)?|[A-Za-z_][\w-]*(?:\.(?:[\w-]+|\*))*)")
_CONTEXTS = ("github", "env", "inputs", "needs", "steps", "job", "runner", "vars", "matrix")


def load(name: str) -> dict[str, Any]:
    """A workflow; `on` is there under that name, which YAML takes for true."""
    content = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in content.items()}


class Expression:
    """An expression as GitHub evaluates it, with what it may look up; `status` is that of the job so far."""

    def __init__(self, text: str, contexts: Mapping[str, Any], status: str) -> None:
        self._tokens, rest = [], text.strip()
        while rest:
            match = _TOKEN.match(rest)
            if match is None:
                raise ValueError(f"can't read {rest!r} in {text!r}")
            self._tokens.append(match[1])
            rest = rest[match.end() :].strip()
        self._contexts, self._status = contexts, status
        self.asks_status = bool({"always", "success", "failure", "cancelled"} & set(self._tokens))

    def value(self) -> Any:
        found = self._or()
        if self._tokens:
            raise ValueError(f"can't go on at {self._tokens}")
        return found

    def _take(self, *wanted: str) -> str | None:
        return self._tokens.pop(0) if self._tokens and self._tokens[0] in wanted else None

    def _or(self) -> Any:
        left = self._and()
        while self._take("||"):
            right = self._and()
            left = left or right
        return left

    def _and(self) -> Any:
        left = self._equal()
        while self._take("&&"):
            right = self._equal()
            left = left and right
        return left

    def _equal(self) -> Any:
        left = self._not()
        while sign := self._take("==", "!="):
            left = (left == self._not()) == (sign == "==")
        return left

    def _not(self) -> Any:
        return not self._not() if self._take("!") else self._atom()

    def _atom(self) -> Any:
        token = self._tokens.pop(0)
        if token == "(":
            found = self._or()
            assert self._take(")")
            return found
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if re.match(r"-?\d", token):
            return float(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if self._take("("):
            arguments = []
            while not self._take(")"):
                arguments.append(self._or())
                self._take(",")
            return self._call(token, arguments)
        return self._look_up(token.split("."))

    def _call(self, name: str, arguments: list[Any]) -> Any:
        match name:
            case "always":
                return True
            case "success" | "failure" | "cancelled":
                return self._status == name
            case "fromJSON":
                return json.loads(arguments[0])
            case "contains":
                return arguments[1] in arguments[0]
        raise ValueError(f"{name}() is not known here")

    def _look_up(self, path: list[str]) -> Any:
        if path[0] not in _CONTEXTS:
            raise ValueError(f"{'.'.join(path)} is not known here")
        found: Any = self._contexts.get(path[0], {})
        for number, key in enumerate(path[1:], 1):
            if key == "*":
                return [value.get(path[number + 1]) for value in found.values()]
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


@dataclass
class Step:
    """A step that was run or skipped: `said` is what it printed, `outcome` what became of it."""

    name: str
    outcome: str
    said: str = ""


@dataclass
class Job:
    result: str
    steps: list[Step]
    outputs: dict[str, str]
    root: Path

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


@dataclass
class Runner:
    """Runs jobs of workflows on the repository `origin`, below `folder`; artifacts and GitHub's files lie there, too.

    `stands_in` says for a step, by job and name, what is done in its place. `fails` names steps that must fail here,
    which the job then passes over. `runs` starts a command, and gives its exit code and what it printed.
    """

    folder: Path
    origin: Path
    variables: Mapping[str, str]
    github: dict[str, Any]
    stands_in: Mapping[tuple[str, str], Callable[[Path], None]] = field(default_factory=dict)
    fails: Mapping[str, str] = field(default_factory=dict)
    runs: Callable[[str, Path, Mapping[str, str]], tuple[int, str]] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)

    def workflow(self, name: str) -> dict[str, Job]:
        """Every job, each after those that it needs."""
        done: dict[str, Job] = {}
        for job in load(name)["jobs"]:  # they stand in that order
            done[job] = self.job(name, job, done)
        return done

    def job(self, workflow: str, name: str, done: Mapping[str, Job]) -> Job:
        content = load(workflow)
        job = content["jobs"][name]
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        needed = {need: {"result": done[need].result, "outputs": done[need].outputs} for need in needs}
        # Of a matrix the first of everything: what is run here is one job.
        matrix = {key: values[0] for key, values in job.get("strategy", {}).get("matrix", {}).items()}
        contexts = {"github": self.github, "inputs": self.inputs, "needs": needed, "vars": self.vars}
        contexts["matrix"] = matrix
        is_well = all(need["result"] == "success" for need in needed.values())
        root = self.folder / f"{workflow}-{name}-{len(list(self.folder.iterdir()))}"
        if not self._condition(job.get("if", "success()"), contexts, "success" if is_well else "failure"):
            return Job("skipped", [], {}, root)
        root.mkdir()
        environment = {**content.get("env", {}), **job.get("env", {})}
        contexts["env"] = {key: self._fill(value, contexts, "success") for key, value in environment.items()}
        steps: dict[str, Any] = {}
        contexts["steps"], found, status = steps, [], "success"
        for step in job["steps"]:
            outputs: dict[str, str] = {}
            contexts["job"] = {"status": status}
            if not self._condition(step.get("if", "success()"), contexts, status):
                ran = Step(step["name"], "skipped")
            else:
                if stand_in := self.stands_in.get((name, step["name"])):
                    stand_in(root)
                    ran = Step(step["name"], "success", "stood in for")
                else:
                    ran = self._step(step, root, contexts, status, outputs)
            found.append(ran)
            if "id" in step:
                steps[step["id"]] = {"outcome": ran.outcome, "outputs": outputs}
            if ran.outcome == "failure" and not step.get("continue-on-error"):
                status = "failure"
        kept = {key: self._fill(value, contexts, status) for key, value in job.get("outputs", {}).items()}
        return Job(status, found, kept, root)

    def _condition(self, text: str, contexts: Mapping[str, Any], status: str) -> bool:
        text = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(text).strip(), flags=re.DOTALL)
        expression = Expression(text, contexts, status)
        # Without a word about the status, `success()` is meant as well.
        return bool(expression.value()) and (expression.asks_status or status == "success")

    def _fill(self, text: Any, contexts: Mapping[str, Any], status: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = Expression(match[1], contexts, status).value()
            return "" if found is None else {True: "true", False: "false"}.get(found, str(found))

        return re.sub(r"\$\{\{(.*?)\}\}", value, str(text), flags=re.DOTALL)

    def _step(
        self, step: Mapping[str, Any], root: Path, contexts: Mapping[str, Any], status: str, outputs: dict[str, str]
    ) -> Step:
        name = step["name"]
        if "uses" in step:
            options = {key: self._fill(value, contexts, status) for key, value in step.get("with", {}).items()}
            return Step(name, "success" if self._use(step["uses"], options, root) else "failure")
        given = {key: self._fill(value, contexts, status) for key, value in step.get("env", {}).items()}
        files = {key: root.with_suffix(f".{key.lower()}") for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_OUTPUT"].unlink(missing_ok=True)
        environment = {**self.variables, **contexts["env"], **given, **{key: str(path) for key, path in files.items()}}
        environment["RUNNER_TEMP"] = str(root.with_suffix(".temp"))
        code, said = (self.runs or run)(step["run"], root, environment)
        if files["GITHUB_OUTPUT"].exists():
            rows = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
            outputs.update(dict(row.split("=", 1) for row in rows))
        if name in self.fails:
            assert code, f"{name} can't succeed here"
            assert self.fails[name] in said, said
            return Step(name, "success", said)
        return Step(name, "failure" if code else "success", said)

    def _use(self, action: str, options: Mapping[str, str], root: Path) -> bool:
        """What an action does, as far as the steps after it see it."""
        artifact = self.folder.parent / "artifacts" / options.get("name", "github-pages")
        match action.partition("@")[0]:
            case "actions/checkout":
                depth = [] if options.get("fetch-depth") == "0" else ["--depth=1"]
                assert options["persist-credentials"] == "False"
                command = ["git", "clone", "--quiet", *depth, self.origin.as_uri(), str(root)]
                subprocess.run(command, check=True, env=dict(self.variables))
            case "actions/setup-python":
                pass
            case "actions/upload-artifact" | "actions/upload-pages-artifact":
                source = root / options["path"]
                is_hidden = any(part.startswith(".") for part in Path(options["path"]).parts)
                if not source.exists() or (is_hidden and options.get("include-hidden-files") != "True"):
                    return options.get("if-no-files-found") == "warn"
                shutil.rmtree(artifact, ignore_errors=True)
                if source.is_dir():
                    shutil.copytree(source, artifact)
                else:
                    artifact.mkdir(parents=True)
                    shutil.copy(source, artifact)
            case "actions/download-artifact":
                if not artifact.is_dir():
                    return False
                shutil.copytree(artifact, root / options["path"], dirs_exist_ok=True)
            case _:
                raise ValueError(f"{action} is not known here")
        return True


def run(command: str, root: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """A command as `shell: bash` runs it; its exit code, and what it printed."""
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
    done = subprocess.run(
        script,
        cwd=root,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def commands(folder: Path, scripts: Mapping[str, str]) -> str:
    """A PATH with these scripts before everything else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])
