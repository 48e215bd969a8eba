import contextlib
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
from PIL import Image

from eyas.data import known
from eyas.data.known import Remote, fashion_mnist, fashion_places, fashion_sample, fetch
from eyas.data.layouts.arrays import find_idx
from eyas.data.samples import ArraySource, Split
from eyas.data.source import find
from eyas.errors import DataError


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")


# ---- the shipped images ------------------------------------------------------------------------------------------


def test_the_shipped_images_are_stratified_and_real():
    samples = fashion_sample()
    assert isinstance(samples.source, ArraySource)
    assert samples.source.images.shape == (12000, 28, 28)
    assert samples.classes[0] == "T-shirt/top"
    assert samples.classes[9] == "Ankle boot"
    assert (samples.counts(samples.rows(Split.TRAIN)) == 1000).all()
    assert (samples.counts(samples.rows(Split.TEST)) == 200).all()
    assert 60 < samples.source.images.mean() < 90


def test_the_shipped_images_take_a_few_megabytes_and_have_their_licence():
    folder = known.Path(known.__file__).with_name("builtin")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 6e6
    assert "Zalando SE" in (folder / "LICENSE-fashion-mnist").read_text()


def test_the_shipped_images_are_the_first_of_each_class_of_the_full_set():
    try:
        full = fashion_mnist()
    except DataError:
        pytest.skip("Fashion-MNIST is not on this machine")
    sample = fashion_sample()
    for split, n in ((Split.TRAIN, 1000), (Split.TEST, 200)):
        rows = full.rows(split)
        first = np.sort(np.concatenate([rows[full.labels[rows] == c][:n] for c in range(10)]))
        assert (full.source.images[first] == sample.source.images[sample.rows(split)]).all()
        assert (full.labels[first] == sample.labels[sample.rows(split)]).all()


def test_a_damaged_set_is_not_passed_off_as_the_known_one(tmp_path):
    folder = known.Path(known.__file__).with_name("builtin")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="EY-D072"):
        fashion_mnist(places=[tmp_path])
    assert len(find(tmp_path)) == 12000, "as a path it is any IDX set"


def test_a_folder_of_the_same_name_is_not_silently_passed_over(tmp_path, monkeypatch):
    (tmp_path / "fashion-sample").mkdir()
    monkeypatch.chdir(tmp_path)
    assert any("./fashion-sample" in note for note in find("fashion-sample").notes)


# ---- where the full sets lie -------------------------------------------------------------------------------------


def test_without_download_the_error_names_the_places_and_the_flag(tmp_path):
    with pytest.raises(DataError, match="EY-D070") as info:
        fashion_mnist(places=[tmp_path / "here"])
    assert "--download" in str(info.value)
    assert str(tmp_path / "here") in str(info.value)


def test_the_usual_places_follow_the_environment(tmp_path):
    env = {"HOME": "/home/me", "TORCH_HOME": "/t", "KERAS_HOME": "/k", "EYAS_CACHE": "/e"}
    places = [path.as_posix() for path in fashion_places(env, tmp_path)]
    assert "/e/data/fashion-mnist" in places
    assert "/t/datasets/FashionMNIST/raw" in places
    assert "/k/datasets/fashion-mnist" in places
    assert f"{tmp_path.as_posix()}/data/FashionMNIST/raw" in places


def test_cifar10_is_found_as_folders_or_its_places_are_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    if not any((place / "train").is_dir() for place in known.cifar10_places({"HOME": str(tmp_path)}, tmp_path)):
        with pytest.raises(DataError, match="EY-D073"):
            find("cifar10")
    for part in ("train", "test"):
        for label in ("cat", "ship"):
            folder = tmp_path / "cache" / "data" / "cifar10" / part / label
            folder.mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(folder / "1.png")
    samples = find("cifar10")
    assert samples.classes == ("cat", "ship")
    assert len(samples.rows(Split.TEST)) == 2


# ---- fetching ----------------------------------------------------------------------------------------------------

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
PACKED = gzip.compress(CONTENT, mtime=1)
REMOTE = Remote("file.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@contextlib.contextmanager
def server(answer):
    """A real server on loopback; `answer(handler)` writes each response. Gives its address and what was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Range")))
            answer(self)

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/set/", asked
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def send(handler, body, *, status=200, length=None, headers=()):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler):
    send(handler, PACKED)


def ranged(handler):
    begin = int((handler.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
    if begin >= len(PACKED):
        send(handler, b"", status=416)
    else:
        send(handler, PACKED[begin:], status=206 if begin else 200)


def test_a_file_is_fetched_once_and_checked(tmp_path):
    with server(whole) as (address, asked):
        path = fetch(REMOTE, tmp_path / "new", [address])
        assert gzip.decompress(path.read_bytes()) == CONTENT
        fetch(REMOTE, tmp_path / "new", [address])
    assert asked == [("/set/file.gz", None)]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file.gz"]


def test_a_cut_download_leaves_nothing_under_its_name_and_goes_on_later(tmp_path):
    with (
        server(lambda h: send(h, PACKED[:100_000], length=len(PACKED))) as (address, _),
        pytest.raises(DataError, match="EY-D071"),
    ):
        fetch(REMOTE, tmp_path, [address])
    assert [p.name for p in tmp_path.iterdir()] == ["file.gz.part"]
    with server(ranged) as (address, asked):
        assert gzip.decompress(fetch(REMOTE, tmp_path, [address]).read_bytes()) == CONTENT
    assert asked == [("/set/file.gz", "bytes=100000-")]


@pytest.mark.parametrize("part", [PACKED, b"something else", PACKED + b"and more", b""])
@pytest.mark.parametrize("answer", [whole, ranged])
def test_whatever_an_earlier_attempt_left_the_file_is_right_in_the_end(tmp_path, part, answer):
    (tmp_path / "file.gz.part").write_bytes(part)
    with server(answer) as (address, _):
        assert gzip.decompress(fetch(REMOTE, tmp_path, [address]).read_bytes()) == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file.gz"]


def test_a_file_that_is_there_and_damaged_is_replaced(tmp_path):
    (tmp_path / "file.gz").write_bytes(PACKED[:-1])
    with server(whole) as (address, _):
        assert gzip.decompress(fetch(REMOTE, tmp_path, [address]).read_bytes()) == CONTENT


def test_the_next_mirror_is_asked_when_one_fails(tmp_path):
    with (
        server(lambda h: send(h, b"gone", status=404)) as (broken, first),
        server(lambda h: send(h, gzip.compress(b"other"))) as (wrong, second),
        server(whole) as (right, third),
    ):
        fetch(REMOTE, tmp_path, [broken, wrong, right])
    assert len(first) == len(third) == 1
    assert second


def test_other_content_is_never_kept(tmp_path):
    bomb = gzip.compress(bytes(10_000_000))
    for body in (gzip.compress(b"other"), bomb, b"<html>sign in</html>"):
        with server(lambda h, body=body: send(h, body)) as (address, _), pytest.raises(DataError, match="EY-D072"):
            fetch(REMOTE, tmp_path, [address])
        assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_is_cut_off(tmp_path):
    with server(lambda h: send(h, bytes(2_000_000))) as (address, _), pytest.raises(DataError, match="EY-D071"):
        fetch(REMOTE, tmp_path, [address])
    assert (tmp_path / "file.gz.part").stat().st_size < 1_000_000


def test_only_http_is_asked(tmp_path):
    (tmp_path / "file.gz").write_bytes(PACKED)
    with pytest.raises(DataError, match="EY-D071"):
        fetch(REMOTE, tmp_path / "new", [tmp_path.as_uri() + "/"])


def test_with_download_the_set_is_fetched_from_a_mirror(tmp_path, monkeypatch):
    folder = known.Path(known.__file__).with_name("builtin")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    remotes = tuple(
        Remote(name, len(gzip.decompress(data)), hashlib.sha256(gzip.decompress(data)).hexdigest())
        for name, data in files.items()
        if name.endswith(".gz")
    )
    monkeypatch.setattr(known, "FASHION_FILES", remotes)
    monkeypatch.setattr(known, "FASHION_IDENTITY", known.SAMPLE_IDENTITY)
    with server(lambda h: send(h, files[h.path.rpartition("/")[2]])) as (address, asked):
        samples = fashion_mnist(download=True, places=[tmp_path / "nowhere"], into=tmp_path / "set", mirrors=[address])
    assert len(samples) == 12000
    assert len(asked) == 4
    assert find_idx(tmp_path / "set") is not None
    assert len(fashion_mnist(places=[tmp_path / "set"])) == 12000, "found without asking again"


def test_the_pins_are_those_of_the_published_files():
    # what is in the published train-labels-idx1-ubyte.gz is 60,000 labels behind a header of 8 bytes
    sizes = {remote.name: remote.bytes for remote in known.FASHION_FILES}
    assert sizes["train-labels-idx1-ubyte.gz"] == 60_008
    assert sizes["train-images-idx3-ubyte.gz"] == 60_000 * 784 + 16
    assert all(len(remote.sha256) == 64 for remote in known.FASHION_FILES)
