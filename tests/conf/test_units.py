"""The systemd files: well-formed, hardened, and about paths, users and commands that exist."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from facenapi import cli
from facenapi.config.options import Config
from facenapi.config.reader import EXIT_CONFIG, load
from tests.support.effort import daily

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "conf" / "systemd"
API = UNITS / "findface-facenapi.service"
SEVERAL = UNITS / "findface-facenapi@.service"
SHARD = UNITS / "findface-facenapi-shard@.service"
GPU = UNITS / "gpu.d" / "gpu.conf"
MOST_EXPOSURE = 2.0
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "RestrictSUIDSGID": "yes",
    "User": "facenapi",
    "Group": "facenapi",
}


def text_of(name):
    """Return a unit; "gpu" is the API's with its drop-in."""
    files = {"api": [API], "several": [SEVERAL], "shard": [SHARD], "gpu": [API, GPU]}[name]
    return "\n".join(file.read_text() for file in files)


def directives(name):
    """Return {section: {directive: last value}}."""
    sections = {}
    for line in text_of(name).splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
        elif line and line[0] not in "#;":
            key, equals, value = line.partition("=")
            assert equals, line
            current[key.strip()] = value.strip()
    return sections


@pytest.mark.parametrize("name", ["api", "several", "shard", "gpu"])
def test_units_say_what_they_must(name):
    unit = directives(name)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == str(EXIT_CONFIG)
    assert {key: service.get(key) for key in HARDENED} == HARDENED
    # sd_notify needs local sockets.
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert float(service["TimeoutStopSec"]) > Config().shutdown_timeout
    assert f"/var/lib/{service['StateDirectory'].split()[0]}" == Config().data_dir


@pytest.mark.parametrize("name", ["api", "several", "shard", "gpu"])
def test_units_start_commands_that_exist_with_options_that_exist(name, tmp_path):
    program, command, *options = directives(name)["Service"]["ExecStart"].split()
    assert program == "/opt/facenapi/bin/facenapi"
    assert command in cli.COMMANDS
    file = tmp_path / "empty.ini"
    file.touch()
    assert options[0] == "--config=/etc/findface-facenapi.ini"
    instance = {"shard": "10.0.0.5:33001", "several": "8001"}.get(name, "")
    config, _ = load([f"--config={file}", *(option.replace("%i", instance) for option in options[1:])])
    # What the API uses, a GPU for example, is for the configuration to say.
    given = {
        "shard": {"shard_address": instance},
        "several": {"port": 8001, "data_dir": f"{Config().data_dir}/8001"},
    }.get(name, {})
    assert config == Config(**given, given=config.given)


def test_nginx_leads_to_the_servers_of_the_units():
    proxy = (ROOT / "conf/nginx/findface-facenapi.conf").read_text()
    ports = re.findall(r"server 127\.0\.0\.1:(\d+)", proxy)
    assert ports == re.findall(r"findface-facenapi@(\d+)", SEVERAL.read_text())
    assert len(ports) >= 2
    same = {line for line in API.read_text().splitlines() if line.partition("=")[0] in HARDENED}
    assert same <= set(SEVERAL.read_text().splitlines())


def test_the_gpu_variant_sees_the_gpu():
    service = directives("gpu")["Service"]
    assert (service["PrivateDevices"], service["MemoryDenyWriteExecute"]) == ("no", "no")
    assert "DeviceAllow=/dev/nvidiactl rw" in GPU.read_text()
    assert "DeviceAllow=/dev/nvidia0 rw" in GPU.read_text()


def test_users_and_folders_are_those_of_the_units():
    user = directives("api")["Service"]["User"]
    assert re.fullmatch(
        rf'u {user} - ".+" {Config().data_dir}\n', (ROOT / "conf/sysusers.d/findface-facenapi.conf").read_text()
    )
    lines = (ROOT / "conf/tmpfiles.d/findface-facenapi.conf").read_text().splitlines()
    kept = [line.split() for line in lines if not line.startswith("#")]
    assert ["d", Config().data_dir, "0750", user, user, "-"] in kept
    assert ["z", "/etc/findface-facenapi.ini", "0640", "root", user, "-"] in kept
    assert all(len(words) == 6 and words[0] in "dz" for words in kept)


@pytest.mark.parametrize("name", daily(["api", "several", "shard", "gpu"]))
def test_systemd_finds_nothing_wrong_and_little_exposed(name, tmp_path):
    """With systemd's own judgement where it is installed; the tests above read the directives in any case."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "facenapi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / ("test@.service" if name in {"shard", "several"} else "test.service")
    unit.write_text(text_of(name).replace("/opt/facenapi/bin/facenapi", str(program)))
    verified = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True, check=True
    )
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)[1]) <= MOST_EXPOSURE
