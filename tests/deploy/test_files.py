"""The files in `deploy/` agree with each other, and with what the proxy accepts."""

from __future__ import annotations

import base64
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner, Result

from claude_max_proxy.cli.main import cli
from tests.docs.configmap import DEPLOY, PLACE, configmap


NAMES = ["proxy-0", "proxy-1", "proxy-2"]
PORT, USER = 3456, 10001
READY, LIVE = "/health/ready", "/health/live"
ENDING = 60  # seconds that a replica may need after its last answer, see `serving._ENDING_SECONDS`
TOML = (DEPLOY / "proxy.toml").read_text("utf-8")
SERVER = tomllib.loads(TOML)["server"]
HAPROXY = (DEPLOY / "haproxy.cfg").read_text("utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SECRETS = {
    "client_key": "a-secret",
    "claude_code_oauth_token": "a-token",
    "database_url": "postgresql://proxy@database/proxy",
    "encryption_key": base64.b64encode(bytes(32)).decode(),
}


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is in the manifests, by kind and name."""
    found = {}
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text("utf-8")):
            name = one.get("metadata", {}).get("name", path.name)
            assert (one["kind"], name) not in found
            found[one["kind"], name] = one
    return found


KUBERNETES = kubernetes()
SET = KUBERNETES["StatefulSet", "proxy"]["spec"]
POD = SET["template"]["spec"]
(PROXY,) = POD["containers"]
BALANCER = KUBERNETES["Deployment", "haproxy"]["spec"]["template"]["spec"]


def seconds(text: str) -> int:
    """Return the seconds of a text such as ``370s``."""
    return int(text.removesuffix("s"))


def checked(folder: Path, toml: str, **more: str) -> Result:
    """Let the proxy check a configuration, with secrets in files as a container finds them."""
    for name, secret in (SECRETS | more).items():
        file = folder / name
        file.write_text(secret)
        file.chmod(0o600)
    config = folder / "proxy.toml"
    config.write_text(toml.replace("/run/secrets/", f"{folder}/"))
    return CliRunner().invoke(cli, ["config", "check", "--config", str(config)], catch_exceptions=False)


def test_the_configuration(tmp_path: Path) -> None:
    """The proxy accepts its configuration."""
    assert checked(tmp_path, TOML).exit_code == 0


def test_the_alternative_in_a_comment(tmp_path: Path) -> None:
    """The lines for a team, which are a comment, can take the place of the CLI."""
    text, shown = TOML.split("# For a team: ")
    text = text[: text.index("# The CLI with the login")]
    lines = [line.removeprefix("# ") for line in shown.splitlines() if re.match(r"# (\[|\S+ = )", line)]
    text = f"{text}\n" + "\n".join(lines)
    table = tomllib.loads(text)
    assert set(table["backends"]) == {"team"}
    assert checked(tmp_path, text, anthropic_api_key="a-key").exit_code == 0


def test_the_copies_in_the_config_map() -> None:
    """Kubernetes gets the same files as everybody else; ``make docs`` copies them."""
    assert PLACE.read_text("utf-8") == configmap()
    data = KUBERNETES["ConfigMap", "claude-max-proxy"]["data"]
    assert data == {"proxy.toml": TOML, "haproxy.cfg": HAPROXY}


def test_names() -> None:
    """The replicas are called the same everywhere, and so is each of their addresses."""
    servers = dict(re.findall(r"^    server (\S+) (\S+) id \d$", HAPROXY, re.MULTILINE))
    assert servers == {name: f"{name}:{PORT}" for name in NAMES}
    services = COMPOSE["services"]
    assert {name: services[name]["hostname"] for name in services if "hostname" in services[name]} == {
        name: name for name in NAMES
    }
    places = {name: services[name]["networks"]["inside"]["ipv4_address"] for name in NAMES}
    assert services["haproxy"]["extra_hosts"] == [f"{name}:{place}" for name, place in places.items()]
    assert [f"{SET['serviceName']}-{number}" for number in range(SET["replicas"])] == NAMES
    for name in NAMES:
        spec = KUBERNETES["Service", name]["spec"]
        assert spec["selector"] == {"statefulset.kubernetes.io/pod-name": name}
        assert spec["publishNotReadyAddresses"] is True


def test_hosts() -> None:
    """The names by which the balancer is reached are allowed hosts of the replicas."""
    assert {"haproxy", "haproxy.claude-max-proxy"} < set(SERVER["allowed_hosts"])
    assert "haproxy" in COMPOSE["services"]
    assert ("Service", "haproxy") in KUBERNETES
    assert {one["metadata"]["name"] for (kind, _), one in KUBERNETES.items() if kind == "Namespace"} == {
        "claude-max-proxy"
    }


def test_ports() -> None:
    """There is one port, everywhere."""
    assert SERVER["port"] == PORT
    assert re.findall(r"^    bind :(\d+)", HAPROXY, re.MULTILINE) == [str(PORT)]
    assert re.findall(r"^EXPOSE (\d+)", CONTAINERFILE, re.MULTILINE) == [str(PORT)]
    assert f"http://127.0.0.1:{PORT}{LIVE}" in CONTAINERFILE
    assert COMPOSE["services"]["haproxy"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    for pod in (POD, BALANCER):
        assert [port["containerPort"] for port in pod["containers"][0]["ports"]] == [PORT]
    for (kind, _), one in KUBERNETES.items():
        if kind == "Service":
            assert [(port["port"], port["targetPort"]) for port in one["spec"]["ports"]] == [(PORT, "http")]


def test_paths_of_health() -> None:
    """Whoever sends requests asks whether the proxy is ready; whoever restarts it, whether it is alive."""
    assert f"uri {READY} " in HAPROXY
    assert PROXY["readinessProbe"]["httpGet"]["path"] == READY
    assert PROXY["livenessProbe"]["httpGet"]["path"] == PROXY["startupProbe"]["httpGet"]["path"] == LIVE


def test_times_to_drain() -> None:
    """HAProxy notices within the notice; nobody is killed before the last answers had their time."""
    check = re.search(r"check inter (\d+)s fastinter (\d+)ms fall (\d+)", HAPROXY)
    timeout = re.search(r"timeout check (\d+)s", HAPROXY)
    hard = re.search(r"hard-stop-after (\d+)s", HAPROXY)
    assert check
    assert timeout
    assert hard
    notices = int(check[1]) + int(check[2]) / 1000 * (int(check[3]) - 1) + int(timeout[1])
    assert notices < SERVER["drain_notice"]
    ends = SERVER["drain_notice"] + SERVER["drain_timeout"] + ENDING
    assert int(hard[1]) == ends
    graces = [POD["terminationGracePeriodSeconds"], BALANCER["terminationGracePeriodSeconds"]]
    graces += [seconds(COMPOSE["services"][name]["stop_grace_period"]) for name in (*NAMES, "haproxy")]
    assert min(graces) > ends
    assert len(set(graces)) == 1
    for text in (TOML, CONTAINERFILE):
        assert f"{graces[0]} s" in text


def test_secrets() -> None:
    """Every secret that the configuration names is there, in every way of running it."""
    named = set(re.findall(r'^[^#\n]*"file:/run/secrets/(\w+)"', TOML, re.MULTILINE))
    assert named == set(SECRETS)
    assert set(KUBERNETES["Secret", "claude-max-proxy"]["stringData"]) == set(SECRETS)
    assert set(COMPOSE["secrets"]) == {*SECRETS, "database_password"}
    for name in NAMES:
        assert set(COMPOSE["services"][name]["secrets"]) == set(SECRETS)
    mounts = {mount["mountPath"]: mount["name"] for mount in PROXY["volumeMounts"]}
    assert mounts["/run/secrets"] == "secrets"


def test_rights() -> None:
    """The proxy runs as a user without rights, on a root to which nobody can write."""
    assert f"USER {USER}:{USER}" in CONTAINERFILE
    assert POD["securityContext"]["runAsUser"] == POD["securityContext"]["fsGroup"] == USER
    assert POD["securityContext"]["runAsNonRoot"] is True
    for pod in (POD, BALANCER):
        context = pod["containers"][0]["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert pod["automountServiceAccountToken"] is False
    for name in NAMES:
        service = COMPOSE["services"][name]
        assert service["user"] == f"{USER}:{USER}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_disruptions() -> None:
    """One replica at a time may be taken away."""
    for name in ("proxy", "haproxy"):
        budget = KUBERNETES["PodDisruptionBudget", name]["spec"]
        assert budget["maxUnavailable"] == 1
    assert (
        KUBERNETES["PodDisruptionBudget", "proxy"]["spec"]["selector"]["matchLabels"]
        == (SET["template"]["metadata"]["labels"])
    )


def test_the_resources_of_the_kustomization() -> None:
    """Every manifest is in it, except the example of a secret."""
    listed = set(KUBERNETES["Kustomization", "kustomization.yaml"]["resources"])
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert listed == there - {"kustomization.yaml", "secret.example.yaml"}


def test_no_place_of_a_machine() -> None:
    """Anybody can build the image: it comes from a public base, and from what is in this repository."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    for path in " ".join(copied).split():
        assert (DEPLOY.parent / path).exists(), path
    assert set(re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)) == {"${BASE}"}
    assert re.findall(r"^ARG BASE=(\S+)", CONTAINERFILE, re.MULTILINE)[0].startswith(
        "docker.io/library/python:"
    )
    assert not re.search(r"--index-url|--find-links|--extra-index|https?://(?!127\.0\.0\.1)", CONTAINERFILE)
    ignored = (DEPLOY.parent / ".containerignore").read_text("utf-8")
    assert ignored == (DEPLOY.parent / ".dockerignore").read_text("utf-8")
    for path in " ".join(copied).split():
        assert f"!{path}\n" in ignored
