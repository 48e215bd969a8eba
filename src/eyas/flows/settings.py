"""Settings of `eyas train`: the words a person may say, each with its default; None means "derive it".

One table serves the command line, `eyas.toml`, `EYAS_*` variables and the Python API. It imports neither numpy nor
torch: `eyas train --help` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def option(
    default: Any, en: str, zh: str, *, group: str = "common", metavar: str = "", choices: tuple[str, ...] = ()
) -> Any:
    """A field with its help in two languages; `group` says where `--help` shows it."""
    meta = {"en": en, "zh": zh, "group": group, "metavar": metavar, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=dict[str, Any], metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Settings:
    """What to do, as said by the user. Flags are these names with `-` for `_`."""

    # what to train on
    val: str | None = option(
        None,
        "validation part: none, a fraction like 0.1, or a path",
        "验证集：none、比例（如 0.1）或路径",
        metavar="none|FRACTION|PATH",
    )
    test: str | None = option(
        None,
        "test part: none, a fraction, or a path; scored once, at the end",
        "测试集：none、比例或路径；仅在最后评分一次",
        metavar="none|FRACTION|PATH",
    )
    holdout: str | None = option(
        None,
        "keep a fraction like 0.1 out for good: neither trained on nor scored, in later runs too, until "
        "`eyas evaluate RUN --split holdout`",
        "永久留出一部分（如 0.1）：既不训练也不评分，以后的运行也如此，直到 `eyas evaluate RUN --split holdout`",
        group="data",
        metavar="FRACTION",
    )
    label_from: str | None = option(
        None,
        "labels from file names: a regular expression with one group, or `parent`",
        "从文件名取标签：含一个分组的正则表达式，或 parent",
        group="data",
        metavar="REGEX",
    )
    splits: str | None = option(
        None,
        "take the split from this splits.csv; none: divide anew (default: as in the newest run on the same data)",
        "使用此 splits.csv 的划分；none：重新划分（默认：沿用同一数据最近一次运行的划分）",
        group="data",
        metavar="FILE|none",
    )
    allow_bad: bool = option(
        False,
        "go on when a declared val or test holds unreadable images (they are left out and counted)",
        "声明的验证/测试集中有无法读取的图片时仍继续（剔除并计数）",
        group="data",
    )
    allow: str | None = option(
        None,
        "read these formats, too (by default they are set aside with E07)",
        "同时读取这些格式（默认以 E07 剔除）",
        group="data",
        choices=("tiff", "avif", "tiff,avif"),
    )
    size: int | None = option(
        None, "side of the training images in pixels", "训练图片边长（像素）", group="data", metavar="PX"
    )
    channels: int | None = option(None, "1 = grey, 3 = colour", "1 = 灰度，3 = 彩色", group="data", metavar="1|3")
    mean: tuple[float, ...] | None = option(
        None,
        "channel means, 0..1 (default: measured on train)",
        "各通道均值 0..1（默认：由训练集计算）",
        group="data",
        metavar="M,M,M",
    )
    std: tuple[float, ...] | None = option(
        None,
        "channel deviations, 0..1 (default: measured on train)",
        "各通道标准差 0..1（默认：由训练集计算）",
        group="data",
        metavar="S,S,S",
    )
    download: bool = option(
        False, "may fetch a built-in data set from the network", "允许从网络下载内置数据集", group="data"
    )
    # what to do
    model: str | None = option(
        None, "name of the net (`eyas models` lists them)", "网络名称（`eyas models` 列出全部）", metavar="NAME"
    )
    model_arg: dict[str, Any] = option(
        {}, "key=value for the net, repeatable", "网络参数 key=value，可重复", group="model", metavar="K=V"
    )
    epochs: float | None = option(None, "passes over the training images", "训练轮数", metavar="N")
    time: str | None = option(None, "wall-clock budget, like 90s, 15m, 2h", "时间预算，如 90s、15m、2h", metavar="TIME")
    until: float | None = option(
        None, "stop when the validation accuracy (0..1) is reached", "验证准确率（0..1）达到即停止", metavar="ACC"
    )
    batch_size: int | None = option(None, "images per optimiser step", "每步图片数", metavar="N")
    lr: float | None = option(None, "peak learning rate", "最大学习率", metavar="RATE")
    seed: int = option(0, "seed of all randomness", "随机种子", metavar="N")
    preset: str | None = option(None, "a named recipe", "预设方案", group="hidden", metavar="NAME")
    optimizer: str | None = option(None, "sgd or adamw", "sgd 或 adamw", group="recipe", choices=("sgd", "adamw"))
    momentum: float | None = option(None, "momentum of SGD", "SGD 动量", group="recipe", metavar="M")
    nesterov: bool | None = option(None, "Nesterov momentum", "Nesterov 动量", group="recipe")
    weight_decay: float | None = option(
        None,
        "weight decay (none on norms and biases)",
        "权重衰减（不作用于归一化与偏置）",
        group="recipe",
        metavar="WD",
    )
    schedule: str | None = option(
        None,
        "course of the learning rate",
        "学习率曲线",
        group="recipe",
        choices=("1cycle", "cosine", "step", "constant"),
    )
    warmup: float | None = option(
        None, "share of the steps spent warming up, 0..1", "预热所占步数比例 0..1", group="recipe", metavar="SHARE"
    )
    smoothing: float | None = option(None, "label smoothing, 0..1", "标签平滑 0..1", group="recipe", metavar="S")
    clip_norm: float | None = option(
        None, "clip the global gradient norm", "梯度范数裁剪", group="recipe", metavar="NORM"
    )
    ema: float | None = option(
        None,
        "half-life of the weight average as a share of the run (0 = off)",
        "权重滑动平均的半衰期（占全程比例，0 = 关闭）",
        group="recipe",
        metavar="SHARE",
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better validation score",
        "验证分数连续若干轮不提高则停止",
        group="recipe",
        metavar="EPOCHS",
    )
    sampling: str | None = option(
        None,
        "which images an epoch shows: each once, each class equally often, or by the weight column",
        "每轮展示的图片：每张一次（shuffled）、各类次数相同（balanced）或按权重列（weighted）",
        group="recipe",
        choices=("shuffled", "balanced", "weighted"),
    )
    # augmentation; None = what the preset says
    flip: bool | None = option(None, "mirror left and right", "左右翻转", group="augmentation")
    pad_crop: int | None = option(
        None, "pad by so many pixels and crop at random", "填充若干像素后随机裁剪", group="augmentation", metavar="PX"
    )
    resized_crop: tuple[float, ...] | None = option(
        None,
        "random resized crop: smallest and largest share of the area",
        "随机缩放裁剪：面积比例的最小与最大值",
        group="augmentation",
        metavar="LO,HI",
    )
    rotate: float | None = option(
        None, "rotate by up to so many degrees", "随机旋转的最大角度", group="augmentation", metavar="DEG"
    )
    affine: tuple[float, ...] | None = option(
        None,
        "shift (share of the side), scale (±share) and shear (degrees), at most",
        "平移（边长比例）、缩放（±比例）、剪切（角度）的最大值",
        group="augmentation",
        metavar="T,S,D",
    )
    colour: tuple[float, ...] | None = option(
        None,
        "jitter of brightness, contrast, saturation and hue, each 0..1",
        "亮度、对比度、饱和度、色相的抖动，各 0..1",
        group="augmentation",
        metavar="B,C,S,H",
    )
    erase: float | None = option(
        None, "chance of erasing a rectangle", "随机擦除的概率", group="augmentation", metavar="P"
    )
    mixup: float | None = option(
        None, "mixup alpha (0 = off)", "mixup 的 alpha（0 = 关闭）", group="augmentation", metavar="A"
    )
    cutmix: float | None = option(
        None, "cutmix alpha (0 = off)", "cutmix 的 alpha（0 = 关闭）", group="augmentation", metavar="A"
    )
    trivial: float | None = option(
        None, "chance of one TrivialAugment operation", "TrivialAugment 的概率", group="augmentation", metavar="P"
    )
    # how, here
    threads: int | None = option(None, "compute threads", "计算线程数", group="machine", metavar="N")
    workers: int | None = option(None, "packing processes", "打包进程数", group="machine", metavar="N")
    loader_threads: int | None = option(
        None,
        "threads that make batches ahead (0 = none)",
        "预先生成批次的线程数（0 = 不预取）",
        group="machine",
        metavar="N",
    )
    pack: bool | None = option(
        None,
        "keep decoded images in the cache (--no-pack decodes them anew in every epoch)",
        "在缓存中保存解码后的图片（--no-pack 则每轮重新解码）",
        group="machine",
    )
    cache_limit: str | None = option(
        None,
        "what all packs in the cache may take, like 50GB; the least recently used go first (none = no limit)",
        "缓存中所有打包的总大小上限，如 50GB；最久未用的先删除（none = 不限）",
        group="machine",
        metavar="SIZE",
    )
    device: str | None = option(None, "cpu or cuda", "cpu 或 cuda", group="machine", choices=("cpu", "cuda"))
    precision: str | None = option(None, "fp32 or bf16", "fp32 或 bf16", group="machine", choices=("fp32", "bf16"))
    parts: int | None = option(
        None,
        "split each batch into so many parts (gradients are summed)",
        "每批拆成若干部分（梯度相加）",
        group="machine",
        metavar="N",
    )
    # the run
    out: str | None = option(
        None,
        "folder of the run, taken literally (default: runs/NNN-name)",
        "运行目录，按字面使用（默认 runs/NNN-名称）",
        metavar="DIR",
    )
    fresh: bool = option(
        False, "start a new run even when an unfinished one could go on", "即使有未完成的运行也重新开始", group="run"
    )
    extend: bool = option(
        False, "train a finished run (--out) for more epochs", "对已完成的运行（--out）继续训练更多轮", group="run"
    )
    save_every: float | None = option(
        None,
        "seconds between checkpoints (default: measured)",
        "检查点间隔秒数（默认：按测量）",
        group="run",
        metavar="S",
    )
    eval_every: float | None = option(
        None, "epochs between scorings of val", "验证评分的间隔轮数", group="run", metavar="EPOCHS"
    )
