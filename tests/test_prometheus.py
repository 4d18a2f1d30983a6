"""Alerts and the Grafana dashboard: unit-tested by promtool, and about metrics that exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from models_store import catalog
from prediction import metrics
from prediction.commands import cli
from prediction.monitoring import gauges
from prediction.settings import Settings
from tests.servers import PROJECT

FOLDER = PROJECT / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
UNIT_TESTS = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
BOARD = json.loads((PROJECT / "deploy" / "grafana" / "prediction.json").read_text())
NOT_LABELS = {"le", "job", "instance"}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def existing() -> dict[str, set[str]]:
    """Return every series that the service gives, with its labels."""
    found = {name: set(labels) for name, (_, labels) in gauges.GAUGES.items()} | {"up": set()}
    for item in vars(metrics).values():
        if isinstance(item, MetricWrapperBase):
            (family,) = item.describe()
            endings = {Counter: ("_total",), Histogram: ("_bucket", "_sum", "_count")}[type(item)]
            found |= {f"{family.name}{ending}": set(item._labelnames) for ending in endings}
    return found


def queries() -> list[str]:
    """Return every query of the rules and of the panels."""
    panels = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    variables = [item["definition"] for item in BOARD["templating"]["list"] if "definition" in item]
    return [rule["expr"] for rule in RULES] + panels + variables


def about_the_journal() -> list[str]:
    """Return the queries of the panels that ask nothing but gauges."""
    return [
        target["expr"].replace("$model", ".*").replace("$job", "prediction")
        for panel in BOARD["panels"]
        for target in panel["targets"]
        if set(re.findall(r"prediction_\w+", target["expr"])) <= gauges.GAUGES.keys()
    ]


def promtool(*arguments: str, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    """By promtool, with the words that an operator reads."""
    done = promtool("test", "rules", "rules_test.yml")

    assert 0 == done.returncode, done.stdout + done.stderr
    for name in ("prometheus.yml", "replicas.yml"):
        assert 0 == promtool("check", "config", name).returncode


@needs_promtool
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_that_is_changed_is_noticed(rule: dict[str, Any], tmp_path: Path) -> None:
    """Each alert has a test that fails where the alert never fires."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    changed = yaml.safe_load((tmp_path / "rules.yml").read_text())
    (broken,) = [each for each in changed["groups"][0]["rules"] if each["alert"] == rule["alert"]]
    broken["expr"] = f"({broken['expr']}) * 0 > 1"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(changed))

    assert 0 != promtool("test", "rules", "rules_test.yml", cwd=tmp_path).returncode


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_tested_for_silence_too(rule: dict[str, Any]) -> None:
    """Its block has a series more than those that make it fire."""
    (block,) = [block for block in UNIT_TESTS if block["name"] == rule["alert"]]
    (expected,) = block["alert_rule_test"]
    (alert,) = expected["exp_alerts"]
    own = {f'{key}="{value}"' for key, value in alert["exp_labels"].items() if key != "severity"}
    silent = [
        item for item in block["input_series"] if not own <= set(re.findall(r'\w+="[^"]*"', item["series"]))
    ]

    assert silent


def test_every_metric_and_label_exists() -> None:
    """Nothing is asked for that the service does not give."""
    known = existing()
    for query in queries():
        names = set(re.findall(r"\b(?:up|prediction_\w+)\b", query))
        labels = set().union(*(known.get(name, set()) for name in names)) | NOT_LABELS
        asked = set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query))
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query):
            asked |= {label.strip() for label in group.split(",")}
        assert names, query
        assert names <= known.keys(), query
        assert asked <= labels, query


@needs_promtool
def test_panels_show_the_same_however_many_hosts_there_are(tmp_path: Path) -> None:
    """Every host exports what the journal knows; two of them are not twice as much."""
    series = [
        {"series": f"{name}{{{labels}}}", "values": "3x10"}
        for name, (_, names) in gauges.GAUGES.items()
        for host in ("a", "b")
        for labels in [f'job="prediction",instance="{host}"' + "".join(f',{each}="one"' for each in names)]
    ]
    expected = [{"labels": "{}", "value": 3}]
    asked = [
        {"expr": f"sum({query})", "eval_time": "5m", "exp_samples": expected}
        for query in about_the_journal()
    ]
    block = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    (tmp_path / "board.yml").write_text(yaml.safe_dump({"tests": [block]}))

    assert len(asked) >= 10
    done = promtool("test", "rules", "board.yml", cwd=tmp_path)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_an_alert_comes_once_for_a_journal() -> None:
    """Where it is about what the journal knows, it names no host: but for what a host knows of itself."""
    of_a_host = ("prediction_journal_up", "prediction_broken_specs")
    for rule in RULES:
        for name in set(re.findall(r"prediction_\w+", rule["expr"])) & gauges.GAUGES.keys():
            merged = re.findall(rf"max by \(job, model[\w, ]*\) \({name}\b", rule["expr"])
            assert name in of_a_host or len(merged) == rule["expr"].count(name), name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """In a sentence; routes, commands and settings in it exist."""
    routes = (PROJECT / "docs" / "http.md").read_text()
    text = rule["annotations"]["do"].replace("{{ $labels.model }}", "{model}")

    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert len(text.split()) >= 8
    for method, path in re.findall(r"(GET|POST) (/[\w/{}]+)", text):
        assert f"`{method} {path}`" in routes, path
    for command in re.findall(r"`loop ([^`]+)`", text):
        assert cli.parser().parse_args(shlex.split(command)).act, command
    assert "python" not in text
    for setting in re.findall(r"PREDICTION_(\w+)", text):
        assert setting.lower() in Settings.model_fields, setting
    assert not [name for name in catalog.load() if re.search(rf"\b{name}\b", text)]


def test_the_board_can_be_imported_anywhere() -> None:
    """It asks which data source and which model; every panel has its own id, a unit and a sentence."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    sources = re.findall(r'"uid": "([^"]+)"', json.dumps(BOARD["panels"]))

    assert len(ids) == len(set(ids))
    assert {"${source}"} == set(sources)
    assert ["source", "job", "model"] == [item["name"] for item in BOARD["templating"]["list"]]
    for panel in BOARD["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"]
        is_now = panel["type"] == "stat"  # else it shows who was champion earlier that day, too
        assert [is_now] * len(panel["targets"]) == [t.get("instant", False) for t in panel["targets"]]
        assert panel["description"].endswith(".")
    places = [tuple(panel["gridPos"][key] for key in "xy") for panel in BOARD["panels"]]
    assert len(places) == len(set(places))


def test_tasks_that_alerts_name_exist() -> None:
    """As the service calls them."""
    (named,) = {task for query in queries() for task in re.findall(r'task!?="([^"]+)"', query)}

    assert f'runtime.Task("{named}"' in (PROJECT / "prediction" / "service.py").read_text()
