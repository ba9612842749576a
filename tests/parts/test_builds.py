"""The client as businesses take it in: its types and syntax, the npm package, the examples built and used."""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.shared_data import SharedDataMiddleware

from local import ROOT
from local.server import Server
from local.stack import Options, Stack
from tests.e2e.flows import Phone, other
from tests.parts.engines import ENGINES, PACKAGES
from tests.support.parts import command, required
from tests.support.stacks import start

WEB: Final = ROOT / "web"
# Each example, how it is built, and the engine that uses it.
EXAMPLES: Final = {
    "plain": ("copy", "chromium70"),
    "vue2": ("webpack 4", "chromium70"),
    "vue3": ("vite", "firefox"),
    "react": ("vite", "webkit"),
}
WEBPACK: Final = """
  const output = { path: process.argv[1], filename: 'main.js' };
  const resolve = { alias: { vue$: 'vue2' } };
  require('webpack')({ mode: 'production', entry: './main.js', output, resolve }, (error, stats) => {
    if (error || stats.hasErrors()) throw error || stats.toString();
  });
"""
VITE: Final = """
  Promise.all([import('vite'), import('@vitejs/plugin-vue')]).then(([{ build }, vue]) => build({
    base: './', logLevel: 'error', plugins: [vue.default()], esbuild: { jsx: 'automatic' },
    build: { outDir: process.argv[1] },
  }));
"""


def run(program: str, *arguments: str | Path, folder: Path = ROOT) -> str:
    """Run Node.js, npm, or a program of npm's."""
    of_npm = PACKAGES / ".bin" / program
    with required():
        path = command(str(of_npm) if of_npm.exists() else program, "nodejs, npm; npm ci")
    finished = subprocess.run([path, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_the_module_is_strictly_typed_and_agrees_with_its_declarations() -> None:
    run("tsc", "--project", PACKAGES.parent)


def test_client_and_page_are_in_the_syntax_of_2017(tmp_path: Path) -> None:
    run("acorn", "--ecma2017", "--module", "--silent", WEB / "number-verification.js")
    run("acorn", "--ecma2017", "--silent", WEB / "number-verification.classic.js")
    page = (WEB / "index.html").read_text(encoding="utf-8")
    watchdog, script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    for version, code in (("5", watchdog), ("2017", script)):
        inline = tmp_path / f"{version}.js"
        inline.write_text(code, encoding="utf-8")
        run("acorn", f"--ecma{version}", "--silent", inline)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder node_modules with the packed client beside the frameworks."""
    folder = tmp_path_factory.mktemp("packed")
    name = run("npm", "pack", "--silent", "--pack-destination", folder, folder=WEB).strip()
    with tarfile.open(folder / name) as packed:
        packed.extractall(folder, filter="data")
    modules = folder / "node_modules"
    modules.mkdir()
    for package in PACKAGES.iterdir():
        (modules / package.name).symlink_to(package)
    (folder / "package").rename(modules / "number-verification")
    return modules


def test_the_package_has_both_forms_and_the_types(modules: Path) -> None:
    names = {file.name for file in (modules / "number-verification").iterdir()}
    forms = {"number-verification.js", "number-verification.classic.js", "number-verification.d.ts"}
    assert names == {"package.json", *forms}


def build(name: str, modules: Path, site: Path) -> None:
    """Build an example as its users would, into a folder of the site."""
    source, target = modules.parent / name, site / name
    shutil.copytree(ROOT / "examples" / name, source)
    match EXAMPLES[name][0]:
        case "copy":
            shutil.copytree(source, target)
            shutil.copy(modules / "number-verification" / "number-verification.classic.js", target)
        case "webpack 4":
            target.mkdir()
            shutil.copy(source / "index.html", target)
            run("node", "-e", WEBPACK, target, folder=source)
        case "vite":
            run("node", "-e", VITE, target, folder=source)


@pytest.fixture(scope="module")
def stack(modules: Path) -> Iterator[Stack]:
    """A stack that knows the examples' pages, which are served beside its own."""
    site = modules.parent / "site"
    site.mkdir()
    files = SharedDataMiddleware(NotFound(), {"/": str(site)}, cache=False)
    with ExitStack() as cleanup:
        origin = cleanup.enter_context(Server(files)).url
        pages = tuple(f"{origin}/{name}/index.html" for name in EXAMPLES)
        stack = cleanup.enter_context(start(Options(pages=pages, log=modules.parent / "functions.log")))
        for name in EXAMPLES:
            build(name, modules, site)
        for file in (file for file in site.rglob("*") if file.suffix in {".js", ".html"}):
            text = file.read_text(encoding="utf-8")
            text = text.replace("https://api.example.com", stack.api).replace("300000000000", stack.app_id)
            file.write_text(text.replace("https://www.cmpassport.com", stack.platform), encoding="utf-8")
        stack.page = origin
        yield stack


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_refuses_and_signs_in(stack: Stack, tmp_path: Path, name: str) -> None:
    with required(), ENGINES[EXAMPLES[name][1]](tmp_path) as engine:
        phone = Phone(stack, engine, f"1372000000{list(EXAMPLES).index(name)}")
        address = f"{stack.page}/{name}/index.html"
        engine.open(address)
        phone.choose(sim=phone.sim)
        engine.open(address)
        phone.until("document.querySelector('#phone')")
        phone.type(other(phone.sim))
        engine.tap("button")
        phone.shows("[role=status]", "请先阅读并同意条款")
        assert not engine.run("typeof YDRZ === 'object'")
        engine.tap("#agreed")
        engine.tap("button")
        phone.shows("[role=status]", "今天还可核对")

        engine.run("document.querySelector('#phone').focus()")
        engine.run("document.querySelector('#phone').setSelectionRange(11, 11)")
        engine.press("Backspace")
        engine.press(phone.sim[10])
        before = engine.run("history.length")
        engine.tap("button")
        phone.until("location.pathname === '/home'")
        assert engine.run("history.length") == before  # Back does not lead here
