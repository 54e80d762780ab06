"""Wheel, sdist and scripts/install: everything is in them and what they install runs. Nothing is downloaded."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from facenapi import __version__

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

# What a new environment lacks because nothing is downloaded: it borrows the packages of this one.
BORROWED = {"PYTHONPATH": sysconfig.get_path("purelib"), "PIP_NO_INDEX": "1"}


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked():
    """Return the files of the checkout that belong to it."""
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    return {name for name in files if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Build the sdist of a copy of the checkout."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("sdist")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    code = f"import setuptools.build_meta as b; print(b.build_sdist({str(out)!r}))"
    run(sys.executable, "-c", code, cwd=copy)
    [archive] = out.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Build the wheel from the sdist, as pip does."""
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", out, sdist)
    [file] = out.iterdir()
    return file


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked() if name.startswith("facenapi/")}


def test_the_sdist_has_what_a_packager_needs(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = re.compile(r"(facenapi|conf|docs|scripts|tests)/|(LICENSE|README\.rst|setup\.cfg|pyproject\.toml)$")
    assert {name for name in tracked() if wanted.match(name)} <= names


def test_the_wheel_installs_and_runs(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")  # to put pip there takes longest
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    environment = os.environ | BORROWED
    where = run(python, "-P", "-c", "import facenapi; print(facenapi.__file__)", cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": ""})  # fmt: skip
    assert where.startswith(str(tmp_path))
    for name in ("facenapi", "findface-facenapi"):
        said = run(tmp_path / "venv" / "bin" / name, "--version", cwd=tmp_path, env=environment)
        assert said == f"facenapi {__version__}\n"
    for name in ("findface-facenapi.token", "findface-mass-enroll", "findface-regenerate"):
        said = run(tmp_path / "venv" / "bin" / name, "--help", cwd=tmp_path, env=environment)
        assert said.startswith("usage: facenapi ")


@pytest.fixture(scope="module")
def install(wheel):
    """Run scripts/install below a folder; what it said."""

    def call(folder, *options):
        environment = os.environ | {
            "DESTDIR": str(folder),
            "PIP_OPTIONS": "--no-deps --no-index",
            "PYTHON": sys.executable,
        }
        environment.pop("PREFIX", None)
        done = subprocess.run([ROOT / "scripts" / "install", f"--wheel={wheel}", *options], capture_output=True,
                              text=True, check=False, env=environment)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    return call


@pytest.fixture(scope="module")
def first_installation(install, tmp_path_factory):
    """A folder with an installation, and what was said; the folder is named in a way that Python does not keep."""
    folder = tmp_path_factory.mktemp("first")
    return folder, install(f"{folder.parent}/./{folder.name}/")


@pytest.fixture(scope="module")
def upgraded(install, first_installation, tmp_path_factory):
    """A copy of it with an edited configuration, upgraded to another extra, as to another version; what was said."""
    folder = copy_of(first_installation[0], tmp_path_factory.mktemp("upgraded") / "root")
    (folder / "etc/findface-facenapi.ini").write_text("port = 8123\n")
    return folder, install(folder, "--gpu")


def copy_of(installation, folder):
    return Path(shutil.copytree(installation, folder, symlinks=True))


def test_an_installation_is_complete_and_runs(first_installation, tmp_path):
    folder, said = first_installation
    assert f"installed below {folder}" in said
    for name in (
        "etc/findface-facenapi.ini",
        "etc/systemd/system/findface-facenapi.service",
        "etc/systemd/system/findface-facenapi@.service",
        "etc/systemd/system/findface-facenapi-shard@.service",
        "etc/sysusers.d/findface-facenapi.conf",
        "etc/tmpfiles.d/findface-facenapi.conf",
        "opt/facenapi/share/doc/facenapi/CHANGELOG.rst",
        "opt/facenapi/bin/facenapi",
        "opt/facenapi/bin/findface-mass-enroll",
    ):
        assert (folder / name).exists(), name
    assert (folder / "etc/findface-facenapi.ini").stat().st_mode & 0o777 == 0o640
    release = folder / "opt/facenapi/current"
    # Below DESTDIR only the interpreter is where the scripts look for it once they are in their place.
    shebang = (release / "bin/facenapi").read_text().splitlines()[0]
    assert shebang == f"#!/opt/facenapi/releases/{release.readlink().name}/bin/python"
    said = run(release / "bin/python", "-m", "facenapi", "--version", cwd=tmp_path, env=os.environ | BORROWED)
    assert said == f"facenapi {__version__}\n"


def test_a_second_installation_changes_nothing(install, first_installation, tmp_path):
    folder = copy_of(first_installation[0], tmp_path / "root")
    before = (folder / "opt/facenapi/current").readlink()
    install(folder)
    assert (folder / "opt/facenapi/current").readlink() == before
    assert len(list((folder / "opt/facenapi/releases").iterdir())) == 1
    assert not (folder / "etc/findface-facenapi.ini.new").exists()


def test_an_upgrade_keeps_an_edited_configuration_and_the_release_before(first_installation, upgraded):
    folder, said = upgraded
    first, second = ((root / "opt/facenapi/current").readlink() for root in (first_installation[0], folder))
    assert first != second
    assert {path.name for path in (folder / "opt/facenapi/releases").iterdir()} == {first.name, second.name}
    assert (folder / "etc/findface-facenapi.ini").read_text() == "port = 8123\n"
    assert "is kept" in said
    assert (folder / "etc/findface-facenapi.ini.new").read_text() == (ROOT / "conf/findface-facenapi.ini").read_text()
    for unit in ("findface-facenapi.service", "findface-facenapi@.service"):
        assert (folder / f"etc/systemd/system/{unit}.d/gpu.conf").exists()


def test_a_release_that_somebody_went_back_to_stays(install, first_installation, tmp_path):
    folder = copy_of(first_installation[0], tmp_path / "root")
    running = (folder / "opt/facenapi/current").resolve()
    for name in ("one", "two", "three"):
        (running.parent / name).mkdir()
    os.utime(running, (1, 1))
    install(folder, "--gpu")
    left = {path.name for path in running.parent.iterdir()}
    assert {running.name, (folder / "opt/facenapi/current").resolve().name} < left
    assert len(left) == 3


def test_a_new_configuration_insists_on_the_gpu_that_is_installed_for(install, upgraded, tmp_path):
    folder = copy_of(upgraded[0], tmp_path / "root")
    (folder / "etc/findface-facenapi.ini").unlink()
    install(folder, "--gpu")
    lines = (folder / "etc/findface-facenapi.ini").read_text().splitlines()
    assert lines.count("device = 'cuda'") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("beside", [None, 65533])
def test_root_leaves_nothing_in_the_checkout_of_another_user(wheel, tmp_path, beside):
    checkout = tmp_path / "checkout"
    for name in tracked():
        if not name.startswith("tests/"):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    for name in ("lib/facenapi", "letters"):
        (checkout / "build" / name).mkdir(parents=True)
    run("chown", "-R", "65534:65534", checkout)
    if beside:  # a third user sets it up
        (checkout / "var").mkdir()
        os.chown(checkout / "var", beside, beside)
    run(checkout / "scripts/install", f"--wheel={wheel}", env=os.environ | {
        "DESTDIR": str(tmp_path / "root"), "PIP_OPTIONS": "--no-deps --no-index", "PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    })  # fmt: skip
    assert (checkout / "var/log").is_dir()
    assert [path.name for path in (checkout / "build").iterdir()] == ["letters"]
    made = {checkout / "var", *(checkout / "var").rglob("*")}
    assert {path.stat().st_uid for path in made} == {beside or 65534}
    assert {path.stat().st_uid for path in {checkout, *checkout.rglob("*")} - made} == {65534}


def test_a_checkout_is_found_from_the_folder_beside_it(tmp_path):
    """It has the package's name in README, and would hide it from a Python that is started there."""
    (tmp_path / "facenapi").mkdir()
    program = [sys.executable, "-c", "from facenapi import __version__"]
    subprocess.run(program, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, check=True)


def test_wrong_usage_is_said(tmp_path):
    script = ROOT / "scripts" / "install"
    wrong = subprocess.run([script, "--nonsense"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "there is no option --nonsense" in wrong.stderr) == (2, True)
    assert "an edited file is never touched" in run(script, "--help")
