"""What `import eyas` offers for whole runs: the flows with the defaults that a notebook or a script wants."""

from __future__ import annotations

from pathlib import Path

from eyas.flows import classify
from eyas.flows.classifier import RUNS, Classifier, load
from eyas.flows.config import checked, resolved_from
from eyas.flows.settings import Settings
from eyas.observe.console import Reporter, choose_mode


def train(
    data: str | Path, settings: Settings | None = None, *, quiet: bool = False, root: str | Path = RUNS
) -> Classifier:
    """A trained classifier; progress goes to stderr unless `quiet`. What `eyas train` does, files and variables aside.

    `settings` are the words of the command line: `Settings(epochs=5, model="fashion-cnn")`. The run is in a folder
    below `root` (`classifier.run.path`), and the same call goes on with a run that was stopped. Raises EyasError.
    """
    resolved = resolved_from(checked(settings or Settings()))
    command = ["eyas.train", str(data)]
    with Reporter(choose_mode(quiet=quiet)) as reporter:
        run = classify.train(str(data), resolved, command=command, reporter=reporter, root=Path(root))
    return load(run.path, root=Path(root))
