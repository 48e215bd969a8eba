"""The layers of the house: a module imports only from lines below its own, and nothing goes round in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

#: top line first; names on one line do not import each other
LAYERS = (
    ("__main__",),
    ("cli",),
    ("flows",),
    ("observe", "tuning", "compression", "multimodal", "continual", "serving"),
    ("export",),
    ("training",),
    ("evaluation",),
    ("data", "models", "hardware", "engines"),
    ("artifact",),
    ("machine", "errors", "version"),
)
LEVEL = {name: level for level, names in enumerate(reversed(LAYERS)) for name in names}


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((SRC / "eyas").rglob("*.py"))}


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(path: Path, module: str) -> set[str]:
    """Modules of eyas that a file imports anywhere, function bodies included."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while todo:
        node = todo.pop()
        if for_types_only(node):
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return {name for name in found if name == "eyas" or name.startswith("eyas.")}


GRAPH = {module: imports(path, module) for module, path in MODULES.items()}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_package_has_its_line():
    assert {part(module) for module in MODULES} - {""} <= set(LEVEL)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "eyas"])
def test_a_module_imports_only_from_lines_below(module):
    mine = part(module)
    for other in sorted(GRAPH[module]):
        assert other != "eyas", f"{module} imports the package's front door"
        if part(other) != mine:
            assert LEVEL[part(other)] < LEVEL[mine], f"{module} imports {other}, which is not on a line below"


def test_no_modules_import_each_other_in_a_circle():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for other in GRAPH.get(module, set()):
            visit(other, (*path, module))
        done.add(module)

    for module in GRAPH:
        visit(module, ())


def test_every_import_of_ours_exists():
    missing = [f"{module}: {name}" for module, names in GRAPH.items() for name in names if name not in MODULES]
    assert not missing


def loaded_by(modules: list[str], forbidden: list[str]) -> str:
    """Imports modules one by one in a fresh interpreter; which of them brought something forbidden."""
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        f"    bad = [f for f in {forbidden!r} if f in sys.modules]\n"
        "    if bad: sys.exit(name + ' brings ' + ', '.join(bad))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stderr.strip().splitlines()[-1]


def test_what_needs_no_torch_brings_none():
    free = ("errors", "machine", "version", "artifact", "data", "evaluation", "engines", "observe", "cli")
    with_torch = {"eyas.engines.eager"}
    modules = [m for m in MODULES if part(m) in free and m not in with_torch]
    alone = ["eyas.training.run", "eyas.training.progress", "eyas.training.events", "eyas.hardware.plan"]
    assert loaded_by(["eyas", *modules, *alone], ["torch"]) == ""


def test_settings_errors_and_the_start_of_the_command_bring_no_numpy():
    modules = ["eyas", "eyas.errors", "eyas.machine", "eyas.flows.settings", "eyas.flows.config"]
    modules += [m for m in MODULES if part(m) == "cli"]
    assert loaded_by(modules, ["torch", "numpy", "rich", "PIL", "matplotlib"]) == ""
