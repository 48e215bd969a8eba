"""Everything that eyas says to a person, in English and Chinese: one table of errors, one of phrases.

An error is up to four lines: what is wrong; what was got; what is allowed; what to do next. Templates use `str.format`
fields. Adding a message means adding both languages here; a test holds that the fields of the two agree.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Lines(NamedTuple):
    """One error in one language; empty lines are not shown."""

    what: str
    got: str = ""
    allowed: str = ""
    next: str = ""


LABELS = {"en": ("error", "got", "allowed", "try"), "zh": ("错误", "得到", "允许", "建议")}

#: code -> (English, Chinese)
ERRORS: dict[str, tuple[Lines, Lines]] = {
    # ---- U: usage -------------------------------------------------------------------------------------------------
    "EY-U001": (
        Lines("there is no such command", "eyas {got}", "{allowed}", "{next}"),
        Lines("没有这个命令", "eyas {got}", "{allowed}", "{next}"),
    ),
    "EY-U002": (
        Lines("there is no such option", "{got}", "{allowed}", "{next}"),
        Lines("没有这个选项", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U003": (
        Lines("an argument is missing", "{got}", "{allowed}", "{next}"),
        Lines("缺少参数", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U004": (
        Lines("an option has no value", "{got}", "{allowed}", "{next}"),
        Lines("选项缺少取值", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U005": (
        Lines("there is more on the command line than the command takes", "{got}", "{allowed}", "{next}"),
        Lines("命令行参数过多", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U006": (
        Lines("the command line cannot be read", "{got}", "{allowed}", "{next}"),
        Lines("无法解析命令行", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U007": (
        Lines("there is no such setting", "{got}", "{allowed}", "{next}"),
        Lines("没有这个设置项", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U008": (
        Lines("this is not a TOML file", "{path}: {detail}", 'lines like  epochs = 20  or  model = "fashion-cnn"',
              "correct that line; `eyas config show` prints what is in force"),
        Lines("这不是有效的 TOML 文件", "{path}: {detail}", '形如  epochs = 20  或  model = "fashion-cnn"  的行',
              "请修改该行;`eyas config show` 显示当前生效的设置"),
    ),
    "EY-U009": (
        Lines("the configuration file cannot be read", "{path}: {detail}", "a TOML file",
              "check the path after --config"),
        Lines("无法读取配置文件", "{path}: {detail}", "TOML 文件", "请检查 --config 后的路径"),
    ),
    "EY-U010": (
        Lines("there are two configurations in this folder", "{first} and [tool.eyas] in {second}", "one of them",
              "move the settings into {first} and delete [tool.eyas]"),
        Lines("此文件夹中有两份配置", "{first} 与 {second} 中的 [tool.eyas]", "只能有一份",
              "请将设置移入 {first},并删除 [tool.eyas]"),
    ),
    "EY-U011": (
        Lines("this environment variable means nothing to eyas", "{got}", "{allowed}", "{next}"),
        Lines("eyas 不认识此环境变量", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U012": (
        Lines("there is no such preset", "{got}", "{allowed}", "leave it out: every value has a default"),
        Lines("没有这个预设方案", "{got}", "{allowed}", "请去掉它:每个设置都有默认值"),
    ),
    "EY-U013": (
        Lines("a whole number is needed", "{got}", "{allowed}", "{next}"),
        Lines("需要整数", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U014": (
        Lines("a number is needed", "{got}", "{allowed}", "{next}"),
        Lines("需要数字", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U015": (
        Lines("yes or no is needed", "{got}", "true, false", "{next}"),
        Lines("需要是或否", "{got}", "true, false", "{next}"),
    ),
    "EY-U016": (
        Lines("the value is out of range", "{got}", "{allowed}", "{next}"),
        Lines("取值超出范围", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U017": (
        Lines("this is not one of the choices", "{got}", "{allowed}", "{next}"),
        Lines("不在可选范围内", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U018": (
        Lines("the wrong number of values", "{got}", "{allowed}", "{next}"),
        Lines("取值个数不对", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U019": (
        Lines("this is not a length of time", "{got}", "90s, 15m, 2h, 1h30m", "{next}"),
        Lines("这不是时长", "{got}", "90s, 15m, 2h, 1h30m", "{next}"),
    ),
    "EY-U020": (
        Lines("a key and a value are needed", "{got}", "KEY=VALUE: a number, true, false, a word or [1, 2]", "{next}"),
        Lines("需要键和值", "{got}", "KEY=VALUE:数字、true、false、单词或 [1, 2]", "{next}"),
    ),
    "EY-U021": (
        Lines("this part of the data is too large or too small", "{got}", "none, 0 < {name} < 1, or a path", "{next}"),
        Lines("所占数据比例过大或过小", "{got}", "none、0 < {name} < 1,或路径", "{next}"),
    ),
    "EY-U022": (
        Lines("two options contradict each other", "{first}  |  {second}", "one of the two", "leave one out"),
        Lines("两个选项互相矛盾", "{first}  |  {second}", "只能用其中一个", "请去掉一个"),
    ),
    "EY-U023": (
        Lines("an option needs another one beside it", "{got}", "{got}  +  {needs}", "add {needs}"),
        Lines("此选项需要与另一个同时使用", "{got}", "{got}  +  {needs}", "请加上 {needs}"),
    ),
    "EY-U024": (
        Lines("there are no validation images to decide on", "{got}  |  {val}", "{got} with --val 0.1 or --val PATH",
              "leave out {got}, or keep a validation part"),
        Lines("没有可供判断的验证图片", "{got}  |  {val}", "{got} 须与 --val 0.1 或 --val 路径 同用",
              "请去掉 {got},或保留验证集"),
    ),
    "EY-U025": (
        Lines("text is needed", "{got}", "{allowed}", "{next}"),
        Lines("需要文字", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U026": (
        Lines("there is nothing to predict", "{got}", "image files, folders with images, or - for a list on stdin",
              "eyas predict runs/latest photo.jpg"),
        Lines("没有可预测的图片", "{got}", "图片文件、含图片的文件夹,或 -(从标准输入读取列表)",
              "eyas predict runs/latest photo.jpg"),
    ),
    "EY-U027": (
        Lines("this is not a folder", "{got}", "a folder that holds runs", "eyas runs"),
        Lines("这不是文件夹", "{got}", "存放运行结果的文件夹", "eyas runs"),
    ),
    "EY-U101": (
        Lines("this folder holds another run", "{path}: {differences}", "the same command (it resumes), or another --out",
              "choose another --out, or add --fresh without --out to start a new numbered run"),
        Lines("此目录中是另一次运行", "{path}:{differences}", "相同的命令(会继续运行),或另一个 --out", "请换一个 --out,或不带 --out 使用 --fresh 新建编号运行"),
    ),
    "EY-U102": (
        Lines("this folder is not empty and holds no run", "{path}", "a new or empty folder, or one of a run", "choose another --out; nothing in it was touched"),
        Lines("此目录非空,且不是运行目录", "{path}", "新目录、空目录或已有的运行目录", "请换一个 --out;目录内容未被改动"),
    ),
    "EY-U103": (
        Lines("--extend needs a finished run and more epochs than it had", "{got}", "--out RUN --extend --epochs N with N above {done}", "add --epochs"),
        Lines("--extend 需要一个已完成的运行和更多的轮数", "{got}", "--out RUN --extend --epochs N,N 大于 {done}", "请加上 --epochs"),
    ),
    "EY-U110": (
        Lines("no run is found under this name", "{target}", "a folder of a run, `latest`, or a number; there are: {known}", "eyas runs"),
        Lines("找不到此名称的运行", "{target}", "运行目录、latest 或编号;现有:{known}", "eyas runs"),
    ),
    "EY-U111": (
        Lines("another process is writing to this run", "{path} (process {process})", "one writer at a time", "wait for it, or use another --out"),
        Lines("另一个进程正在写入此运行", "{path}(进程 {process})", "同一时间只能有一个写入者", "请等待其结束,或换一个 --out"),
    ),
    "EY-U120": (
        Lines("there is no model of this name", "{name}", "{known}", "did you mean `{near}`?"),
        Lines("没有这个名称的模型", "{name}", "{known}", "您是不是想用 `{near}`?"),
    ),
    "EY-U121": (
        Lines("the model {name} cannot take these images", "{got}", "{allowed}", "choose another --model, or --size and --channels that fit"),
        Lines("模型 {name} 不能接受这样的图片", "{got}", "{allowed}", "请换 --model,或使用合适的 --size 与 --channels"),
    ),
    "EY-U122": (
        Lines("the model {name} does not take this argument", "{got}", "{allowed}, with values above 0", "check --model-arg"),
        Lines("模型 {name} 不接受该参数", "{got}", "{allowed},取值大于 0", "请检查 --model-arg"),
    ),
    "EY-U123": (
        Lines("--mean and --std need one value for each channel", "{got}", "{channels} value(s) each, means 0..1, deviations above 0", "leave them out: they are measured on the training images"),
        Lines("--mean 与 --std 每个通道需要一个值", "{got}", "各 {channels} 个值,均值 0..1,标准差大于 0", "可以省略:程序会在训练图片上测量"),
    ),
    # ---- D: data --------------------------------------------------------------------------------------------------
    "EY-D001": (
        Lines("there is nothing at this path", "{path}", "a folder of images, a label file, IDX files or an .npz",
              "check the spelling; `eyas train --help` lists the layouts"),
        Lines("此路径下什么都没有", "{path}", "图片文件夹、标签文件、IDX 文件或 .npz", "请检查拼写;`eyas train --help` 列出支持的布局"),
    ),
    # decoder and preprocess: EY-D100..D139
    "EY-D100": (
        Lines(
            "this description of how images are prepared cannot be used",
            "{detail}",
            "the keys and values that eyas itself writes",
            "take the file from the run or the artefact again; it was edited, damaged, or written by a newer eyas",
        ),
        Lines(
            "无法使用这份图像预处理描述",
            "{detail}",
            "eyas 自己写入的键与值",
            "请重新从运行目录或模型包取得该文件:它被改动、损坏,或由更新版本的 eyas 写成",
        ),
    ),
    "EY-D101": (
        Lines(
            "these images were prepared by a decoder that this eyas does not have",
            "{decoder}",
            "{allowed}",
            "install the version of eyas that trained it, or train again",
        ),
        Lines("这些图像由当前 eyas 没有的解码器处理", "{decoder}", "{allowed}", "请安装训练时所用的 eyas 版本,或重新训练"),
    ),
    "EY-D102": (
        Lines(
            "an array of this shape or type is not an image",
            "{dtype}, {shape}",
            "uint8 of height x width, or height x width x 1 or 3; values 0..255",
            "convert it first, for example (image * 255).round().astype('uint8') for values 0..1",
        ),
        Lines(
            "该数组的形状或类型不是图像",
            "{dtype},{shape}",
            "uint8,形状为 高 x 宽,或 高 x 宽 x 1 或 3;取值 0..255",
            "请先转换,例如取值 0..1 时用 (image * 255).round().astype('uint8')",
        ),
    ),
    "EY-D103": (
        Lines("this image size cannot be used", "{got}", "whole numbers from 1 to {most}", "give --size in pixels, like --size 64"),
        Lines("不能使用该图像尺寸", "{got}", "1 到 {most} 的整数", "请以像素给出 --size,例如 --size 64"),
    ),
    "EY-D104": (
        Lines("there are no images to choose a size from", "0 images", "at least one image that can be read", "check the folder; or give --size"),
        Lines("没有可用于确定尺寸的图像", "0 张图像", "至少一张可读取的图像", "请检查文件夹,或指定 --size"),
    ),
    # predictions, events, report: EY-D170..D189
    "EY-D170": (
        Lines(
            "the scores hold values that are not numbers",
            "{count} of {n} images, the first is number {first}",
            "finite probabilities",
            "the model has diverged: evaluate an earlier checkpoint, or train with a lower --lr",
        ),
        Lines(
            "预测分数中含有非数值",
            "{n} 张图片中的 {count} 张,第一张编号为 {first}",
            "有限的概率值",
            "模型已发散:请评估更早的检查点,或用更小的 --lr 重新训练",
        ),
    ),
    "EY-D171": (
        Lines(
            "there are no stored predictions of the split '{split}'",
            "no file {path}",
            "",
            "`eyas evaluate RUN --split {split}` makes them",
        ),
        Lines("没有“{split}”部分的预测记录", "文件不存在:{path}", "", "运行 `eyas evaluate RUN --split {split}` 生成"),
    ),
    "EY-D172": (
        Lines(
            "stored predictions cannot be read",
            "{path}: {detail}",
            "files as eyas wrote them: float32 scores (.npy) and their index (.csv)",
            "`eyas evaluate RUN` writes them anew",
        ),
        Lines(
            "预测记录无法读取",
            "{path}:{detail}",
            "由 eyas 写出的文件:float32 分数(.npy)及其索引(.csv)",
            "运行 `eyas evaluate RUN` 重新生成",
        ),
    ),
    "EY-D173": (
        Lines(
            "{csv} and {npy} do not belong together or to this run",
            "{detail}",
            "one line per row of the array, classes as in run.json",
            "`eyas evaluate RUN` writes them anew",
        ),
        Lines(
            "{csv} 与 {npy} 不匹配,或不属于此运行",
            "{detail}",
            "数组每行对应一行记录,类别与 run.json 一致",
            "运行 `eyas evaluate RUN` 重新生成",
        ),
    ),
    "EY-D174": (
        Lines(
            "a record of the run cannot be read",
            "{path}: {detail}",
            "the file as eyas wrote it",
            "restore it from a copy, or move it away: the report is then made without it",
        ),
        Lines(
            "运行记录无法读取",
            "{path}:{detail}",
            "由 eyas 写出的原始文件",
            "请从备份恢复,或将其移走:报告将不含这部分内容",
        ),
    ),
    "EY-D180": (
        Lines(
            "this folder is not a run",
            "{path} has no run.json",
            "a folder made by `eyas train`, like runs/001-photos",
            "`eyas runs` lists the runs below the current folder",
        ),
        Lines(
            "此文件夹不是一次运行",
            "{path} 中没有 run.json",
            "由 `eyas train` 建立的文件夹,如 runs/001-photos",
            "`eyas runs` 列出当前目录下的运行",
        ),
    ),
    "EY-D181": (
        Lines(
            "the description of the run cannot be read",
            "{path}: {detail}",
            "run.json as eyas wrote it",
            "restore it from a copy; the checkpoints are not touched by this",
        ),
        Lines(
            "运行描述无法读取",
            "{path}:{detail}",
            "由 eyas 写出的 run.json",
            "请从备份恢复;检查点不受影响",
        ),
    ),
    "EY-D182": (
        Lines(
            "this run was written by another version of eyas",
            "schema {schema} in {path}",
            "{allowed}",
            "use the version of eyas that made the run",
        ),
        Lines("此运行由其他版本的 eyas 写出", "{path} 中的模式为 {schema}", "{allowed}", "请使用建立该运行的 eyas 版本"),
    ),
    "EY-D200": (
        Lines("images that you declared for {split} cannot be read", "{count} of {n}, first {first}", "every image of a declared val or test",
              "mend or remove them, or add --allow-bad: they are then left out and counted"),
        Lines("您声明用于 {split} 的图片中有无法读取的", "{n} 张中的 {count} 张,第一张是 {first}", "声明的验证/测试集中的每张图片都可读", "请修复或移除它们,或加 --allow-bad(剔除并计数)"),
    ),
    "EY-D201": (
        Lines("too little is left to train on", "{got}", "at least two classes with a readable image each", "`{count}` unreadable files were set aside; look at them first"),
        Lines("可用于训练的图片太少", "{got}", "至少两个类别,每类至少一张可读图片", "有 `{count}` 个无法读取的文件被剔除,请先检查"),
    ),
    "EY-D202": (
        Lines("this run has no stored scores of that split", "{split} in {path}", "{allowed}", "give the images: eyas evaluate RUN DATA"),
        Lines("此运行没有该划分的评分", "{path} 中的 {split}", "{allowed}", "请给出图片:eyas evaluate RUN DATA"),
    ),
    "EY-D203": (
        Lines("these images have classes that the run does not know", "{got}", "{allowed}", "use the classes of the run, or train a new one"),
        Lines("这些图片包含该运行不认识的类别", "{got}", "{allowed}", "请使用该运行的类别,或重新训练"),
    ),
    "EY-D140": (
        Lines("an augmentation setting makes no sense", "{name} = {value}", "{allowed}", "`eyas show DATA` draws what a setting does"),
        Lines("数据增强参数不合理", "{name} = {value}", "{allowed}", "`eyas show DATA` 可查看参数的效果"),
    ),
    "EY-D141": (
        Lines("an image file changed while it was being packed", "{path}", "files that stay as they are until packing is done", "run the same command again when nothing writes into the folder any more"),
        Lines("打包过程中图片文件被修改", "{path}", "打包完成前文件须保持不变", "待无程序写入该目录后重新运行相同命令"),
    ),
    # ---- M: missing tools -----------------------------------------------------------------------------------------
    "EY-M001": (
        Lines("this needs a package that is not installed", "{package}", "", "pip install '{hint}'"),
        Lines("需要一个尚未安装的软件包", "{package}", "", "pip install '{hint}'"),
    ),
    "EY-M030": (
        Lines("this device is not here", "{device}", "{allowed}", "leave --device out: the Plan chooses"),
        Lines("没有此设备", "{device}", "{allowed}", "可以省略 --device,由程序选择"),
    ),
    # ---- S: storage -----------------------------------------------------------------------------------------------
    "EY-S100": (
        Lines("not enough disk space for the packed images", "{free} free at {path}", "{need}", "free some space, set EYAS_CACHE to a larger disk, or ask for a smaller --size"),
        Lines("磁盘空间不足以存放打包后的图片", "{path} 剩余 {free}", "{need}", "请清理空间、将 EYAS_CACHE 指向更大的磁盘,或减小 --size"),
    ),
    "EY-S101": (
        Lines("the packed images would be larger than the limit", "{need} for {n} images", "{limit}", "raise the limit, or ask for a smaller --size"),
        Lines("打包后的图片将超过大小上限", "{n} 张图片需要 {need}", "{limit}", "请提高上限,或减小 --size"),
    ),
    "EY-S102": (
        Lines("the cache folder cannot be written", "{path}: {detail}", "a writable folder on a local disk", "set EYAS_CACHE to one, for example EYAS_CACHE=/tmp/eyas"),
        Lines("缓存目录不可写", "{path}:{detail}", "本地磁盘上可写的目录", "请用 EYAS_CACHE 指定,例如 EYAS_CACHE=/tmp/eyas"),
    ),
    "EY-S103": (
        Lines("packed images do not match their checksums: the disk lost data", "{count} of {n} in {path}", "all of them match", "delete this folder and run again: it is made anew from the images"),
        Lines("打包图片与校验和不符:磁盘数据损坏", "{path} 中 {n} 张里有 {count} 张", "全部一致", "删除该目录后重新运行,将由原图重新生成"),
    ),
    "EY-S104": (
        Lines("writing the packed images failed", "{path}: {detail}", "", "see that the disk is sound and not full, then run the same command again"),
        Lines("写入打包图片失败", "{path}:{detail}", "", "请确认磁盘正常且未满,然后重新运行相同命令"),
    ),
    "EY-S201": (
        Lines("not enough space for a checkpoint", "{free} free at {path}", "{needed}", "free some space; the older checkpoints are untouched"),
        Lines("磁盘空间不足以保存检查点", "{path} 剩余 {free}", "{needed}", "请清理空间;旧检查点完好"),
    ),
    "EY-S202": (
        Lines("checkpoints cannot be written", "{failures} failures in a row at {path}: {reason}", "", "free space or mend the disk, then run the same command: it goes on from the last whole checkpoint"),
        Lines("无法写入检查点", "{path} 连续 {failures} 次失败:{reason}", "", "请清理空间或修复磁盘,然后重新执行相同命令:将从最后一个完整的检查点继续"),
    ),
    "EY-S203": (
        Lines("the folder of the run cannot be written", "{path}: {reason}", "a writable folder with free space", "choose another --out"),
        Lines("无法写入运行目录", "{path}:{reason}", "可写且有剩余空间的目录", "请换一个 --out"),
    ),
    "EY-S204": (
        Lines("no checkpoint of this run is whole", "{path}: {damaged}", "at least one that matches its checksums", "start again with --fresh"),
        Lines("此运行没有完整的检查点", "{path}:{damaged}", "至少一个与校验和一致的检查点", "请用 --fresh 重新开始"),
    ),
    # ---- T: training ----------------------------------------------------------------------------------------------
    "EY-T001": (
        Lines("training diverged: loss or gradient was not finite", "{skipped} skipped updates in 100 steps, the last at step {step}", "",
              "try a smaller --lr (a tenth), or --clip-norm 1; the last healthy checkpoint is kept"),
        Lines("训练发散:损失或梯度不是有限值", "100 步内跳过 {skipped} 次更新,最近在第 {step} 步", "", "请尝试更小的 --lr(十分之一)或 --clip-norm 1;最后一个健康的检查点已保留"),
    ),
    # ---- P: stopped from outside ----------------------------------------------------------------------------------
    "EY-P001": (
        Lines("stopped by Ctrl-C; the work is kept", "step {step} of {steps} in {path}", "", "the same command goes on from here"),
        Lines("已被 Ctrl-C 中断;进度已保存", "{path},第 {step} / {steps} 步", "", "重新执行相同命令即可继续"),
    ),
    "EY-P002": (
        Lines("stopped by a signal from outside; the work is kept", "step {step} of {steps} in {path}", "", "the same command goes on from here"),
        Lines("被外部信号停止;进度已保存", "{path},第 {step} / {steps} 步", "", "重新执行相同命令即可继续"),
    ),
    # ---- I: internal ----------------------------------------------------------------------------------------------
    "EY-I001": (
        Lines("eyas itself failed; this is a bug", "{detail}", "", "please report it with the traceback in {path}"),
        Lines("eyas 自身出错,这是程序缺陷", "{detail}", "", "请附上 {path} 中的回溯信息报告此问题"),
    ),
}

#: key -> (English, Chinese): what is printed while things go well
PHRASES: dict[str, tuple[str, str]] = {
    "done": ("done", "完成"),
    "run.resumed.bitwise": (
        "resumed at step {step} (epoch {epoch}); promise: bitwise, as if it had not been interrupted",
        "从第 {step} 步(第 {epoch} 轮)继续;承诺:逐位一致,如同未曾中断",
    ),
    "run.resumed.state-exact": (
        "resumed at step {step} (epoch {epoch}); promise: state-exact (same data and state; rounding may differ because of:)",
        "从第 {step} 步(第 {epoch} 轮)继续;承诺:状态一致(数据与状态相同;以下变化可能影响舍入:)",
    ),
    "run.finished_before": ("{path} is finished; its result follows (--fresh starts a new run)", "{path} 已完成,以下是其结果(--fresh 可新建运行)"),
    "run.damaged": ("checkpoint {name} is damaged and was passed over: {why}", "检查点 {name} 已损坏,跳过:{why}"),
    # the command line
    "cli.options": ("OPTIONS", "选项"),
    "cli.arguments": ("arguments", "参数"),
    "cli.examples": ("examples", "示例"),
    "cli.eyas": (
        "From a folder of images to a fast image classifier you can trust, on the hardware that is here.",
        "从一个图片文件夹到又快又可信的图像分类器,就用手边的硬件。",
    ),
    "cli.heading.start": ("start here", "从这里开始"),
    "cli.heading.use": ("use what was trained", "使用训练结果"),
    "cli.heading.look": ("look", "查看"),
    "cli.heading.here": ("this machine", "本机"),
    "cli.verb.demo": ("train on images that come with eyas, score, write a report: half a minute", "用自带图片训练、评分并生成报告:约半分钟"),
    "cli.verb.train": (
        "train a classifier on a folder of images; the same command again goes on where it stopped",
        "用图片文件夹训练分类器;中断后重复同一命令即可继续",
    ),
    "cli.verb.evaluate": ("how good a run is, with its interval", "给出一次运行的成绩及置信区间"),
    "cli.verb.predict": ("what is on these pictures", "识别这些图片"),
    "cli.verb.show": ("a picture of the training images as the net sees them, augmented", "把网络看到的(增强后的)训练图片拼成一张图"),
    "cli.verb.report": ("write the report of a run again", "重新生成一次运行的报告"),
    "cli.verb.runs": ("what was trained here", "列出此处的全部运行"),
    "cli.verb.models": ("the nets that can be trained", "列出可训练的网络"),
    "cli.verb.doctor": ("what is here, what is missing, what to do about it", "检查环境:有什么、缺什么、怎么办"),
    "cli.verb.config": ("every setting in force and where it came from", "显示当前生效的设置及其来源"),
    "cli.verb.version": ("the versions of all that takes part", "显示各组件版本"),
    "cli.more_verb": ("eyas VERB --help tells more about one of them", "eyas 命令 --help 查看某个命令的详情"),
    "cli.more_options": ("{n} more options: eyas {verb} --help-all", "另有 {n} 个选项:eyas {verb} --help-all"),
    "cli.group.common": ("common options", "常用选项"),
    "cli.group.data": ("data", "数据"),
    "cli.group.model": ("net", "网络"),
    "cli.group.recipe": ("recipe", "训练方案"),
    "cli.group.augmentation": ("augmentation", "数据增强"),
    "cli.group.machine": ("machine", "机器"),
    "cli.group.run": ("run", "运行"),
    "cli.group.verb": ("options of this command", "此命令的选项"),
    "cli.group.everywhere": ("options of every command", "通用选项"),
    "cli.option.json": ("one JSON document on stdout", "在标准输出给出一个 JSON 文档"),
    "cli.option.quiet": ("only the answer, in its shortest form", "只输出最简短的结果"),
    "cli.option.plain": ("no live line, no colours", "不用动态行与颜色"),
    "cli.option.lang": ("language of messages (or EYAS_LANG)", "消息语言(或 EYAS_LANG)"),
    "cli.option.verbose": ("say more: what was set where, causes of errors", "输出更多:设置来源、错误起因"),
    "cli.option.help": ("this help", "显示此帮助"),
    "cli.option.help_all": ("help with all options", "显示全部选项"),
    "cli.option.version": ("the version", "显示版本"),
    "cli.option.config": ("settings from this TOML file, like the config.toml of a run", "从此 TOML 文件读取设置,例如某次运行的 config.toml"),
    "cli.gave_way": ("gave way: {note}", "已被取代:{note}"),
    "cli.interrupted": ("interrupted", "已中断"),
    "cli.report": ("report  {path}", "报告  {path}"),
    "cli.run": ("a run: its folder, runs/latest, or its number", "一次运行:目录、runs/latest 或编号"),
    "cli.train.data": (
        "a folder of images, a label file, IDX files, an .npz, or fashion-sample",
        "图片文件夹、标签文件、IDX 文件、.npz 或 fashion-sample",
    ),
    "cli.train.run": ("run     {run}", "运行  {run}"),
    "cli.train.layouts": (
        "layouts that are recognised\n"
        "  photos/CLASS/*.jpg                  a folder per class\n"
        "  photos/train|val|test/CLASS/*.jpg   a folder per split (also 训练集, 验证集, 测试集)\n"
        "  labels.csv                          columns for path and label (TSV, JSONL too)\n"
        "  photos/cat_12.jpg                   labels in file names, with --label-from\n"
        "  *-images-idx3-ubyte[.gz]            IDX, as MNIST has it\n"
        "  arrays.npz                          x_train, y_train, ...\n"
        "  fashion-sample, fashion-mnist       built in",
        "支持的数据布局\n"
        "  photos/类别/*.jpg                   每类一个文件夹\n"
        "  photos/训练集|验证集|测试集/类别/   每个划分一个文件夹(train、val、test 亦可)\n"
        "  labels.csv                          含路径与标签列(TSV、JSONL 亦可)\n"
        "  photos/cat_12.jpg                   标签在文件名中,配合 --label-from\n"
        "  *-images-idx3-ubyte[.gz]            IDX,即 MNIST 格式\n"
        "  arrays.npz                          x_train、y_train……\n"
        "  fashion-sample、fashion-mnist       内置",
    ),
    "cli.config.action": ("show", "show"),
    "cli.predict.files": ("images, folders of images, or - for a list of paths on stdin", "图片、图片文件夹,或 -(从标准输入读取路径列表)"),
    "cli.predict.top": ("the N likeliest classes of each", "每张给出最可能的 N 个类别"),
    "cli.predict.jsonl": ("one JSON document per line and image, as they come", "逐张输出,每行一个 JSON 文档"),
    "cli.show.to": ("the picture to write (default: eyas-show.png)", "要写入的图片(默认 eyas-show.png)"),
    "cli.show.count": ("how many images (default: 36)", "图片数量(默认 36)"),
    "cli.show.done": ("written: {path}", "已写入:{path}"),
    "cli.runs.root": ("the folder of the runs (default: runs)", "运行所在文件夹(默认 runs)"),
    "cli.runs.none": ("no runs in {root}", "{root} 中没有运行"),
    "cli.runs.run": ("run", "运行"),
    "cli.runs.state": ("state", "状态"),
    "cli.runs.began": ("began", "开始时间"),
    "cli.runs.val": ("val", "验证"),
    "cli.runs.test": ("test", "测试"),
    "cli.models.name": ("name", "名称"),
    "cli.models.weights": ("weights for {n} classes", "参数量({n} 类)"),
    "cli.evaluate.data": ("other images to score it on (default: the run's own)", "用于评分的其他图片(默认:该运行自己的数据)"),
    "cli.evaluate.split": ("which part (default: test when there is one, else val)", "评哪一部分(默认:有测试集则为测试集,否则验证集)"),
    "cli.evaluate.accuracy": ("accuracy", "准确率"),
    "cli.evaluate.top5": ("among the 5 likeliest", "前五命中"),
    "cli.evaluate.loss": ("loss", "损失"),
    "cli.evaluate.ece": ("calibration error", "校准误差"),
    "cli.evaluate.worst": ("recognised least often", "最常认错的类别"),
    "cli.demo.done": (
        "\nreport  {report}  (open it in a browser)\nnext    eyas train FOLDER   and   eyas predict {run} PHOTO",
        "\n报告  {report}  (用浏览器打开)\n下一步  eyas train 文件夹   以及   eyas predict {run} 图片",
    ),
    "cli.doctor.importing": ("importing torch to see whether it works (some seconds)...", "正在导入 torch 以检查其是否可用(需几秒)……"),
    "cli.doctor.python": ("Python 3.11 or newer is needed", "需要 Python 3.11 或更高版本"),
    "cli.doctor.system": ("only Linux is tested", "仅在 Linux 上测试过"),
    "cli.doctor.isa": ("without AVX2 everything is slow", "没有 AVX2,一切都会很慢"),
    "cli.doctor.cores_value": ("{cores} free to use of {all}, load {load}", "可用 {cores} / 共 {all},负载 {load}"),
    "cli.doctor.busy": ("the machine is busy: training will be slower than it could be", "机器繁忙:训练会比应有的慢"),
    "cli.doctor.free_of": ("{free} free of {total}", "可用 {free} / 共 {total}"),
    "cli.doctor.memory": ("little memory is free: close other programs, or use a smaller --size and --batch-size", "可用内存很少:请关闭其他程序,或减小 --size 与 --batch-size"),
    "cli.doctor.disk_value": ("{path}  {free} free", "{path}  可用 {free}"),
    "cli.doctor.read_only": ("nothing can be written here: change to another folder", "此处不可写:请换一个文件夹"),
    "cli.doctor.cache": ("the cache cannot be written: set EYAS_CACHE to a folder that can", "缓存不可写:请将 EYAS_CACHE 设为可写的文件夹"),
    "cli.doctor.disk": ("less than 1 GiB is free", "可用空间不足 1 GiB"),
    "cli.doctor.torch": ("torch is installed and does not import: install the build for this system again", "torch 已安装但无法导入:请重新安装适合本系统的版本"),
    "cli.doctor.onednn": ("this build of torch has no oneDNN: training will be slow", "此 torch 版本不含 oneDNN:训练会很慢"),
    "cli.doctor.codecs": ("Pillow was built without {missing}: pip install --force-reinstall pillow", "Pillow 缺少 {missing}:pip install --force-reinstall pillow"),
    "cli.doctor.font": ("Chinese class names would show as boxes in plots: install a font like fonts-noto-cjk", "图中的中文类别名会显示为方框:请安装字体,如 fonts-noto-cjk"),
    "cli.doctor.ready": ("ready to train", "可以开始训练"),
    "cli.doctor.not_ready": ("not ready to train: see the lines above", "尚不能训练:请看上面各行"),
    # the console while it runs
    "console.epoch": ("epoch", "轮次"),
    "console.train_loss": ("train loss", "训练损失"),
    "console.val_loss": ("val loss", "验证损失"),
    "console.accuracy": ("accuracy", "准确率"),
    "console.images_per_second": ("images/s", "张/秒"),
    "console.left": ("left", "剩余"),
    "console.step": (
        "epoch {epoch}  loss {loss}  {rate} images/s  {left} left",
        "轮次 {epoch}  损失 {loss}  {rate} 张/秒  剩余 {left}",
    ),
    "console.phase": (
        "{phase} {done}/{total}  {rate}/s  {left} left",
        "{phase} {done}/{total}  {rate}/秒  剩余 {left}",
    ),
    "console.phase_done": ("{phase} {total} done in {took}", "{phase} {total},完成,用时 {took}"),
    "console.phase.scan": ("looking through files", "扫描文件"),
    "console.phase.pack": ("decoding images", "解码图片"),
    "console.phase.plan": ("planning", "制定方案"),
    "console.phase.train": ("training", "训练"),
    "console.phase.evaluate": ("scoring images", "评分图片"),
    "console.phase.save": ("saving", "保存"),
    "console.phase.wait": ("waiting", "等待"),
    "console.phase.report": ("writing the report", "生成报告"),
    "console.test": (
        "test accuracy {accuracy} %  (95 % interval {lo} – {hi}, {n} images)",
        "测试集准确率 {accuracy} %(95 % 置信区间 {lo} – {hi},{n} 张)",
    ),
    "console.not_saved": (
        "a checkpoint could not be written ({reason}); the older one is kept",
        "检查点写入失败({reason});保留较早的检查点",
    ),
    "console.decided": ("{name} = {value}: {reason}", "{name} = {value}:{reason}"),
    "console.recovered": ("{what}: {detail}", "{what}:{detail}"),
    "console.recovered.out-of-memory": ("out of memory, put right", "内存不足,已处理"),
    "console.recovered.not-finite": ("loss or gradient not finite, step skipped", "损失或梯度非有限值,已跳过该步"),
    "console.recovered.spike": ("loss spike, step skipped", "损失突增,已跳过该步"),
    "console.recovered.roll-back": ("went back to a healthy checkpoint", "已回退到健康的检查点"),
    "console.skipped": ("{n} steps were not applied in this epoch", "本轮有 {n} 步未被采用"),
    "console.stopped": ("stopped: {reason}", "已停止:{reason}"),
    "console.stopped.patience": ("no better validation score for the epochs allowed", "验证分数在限定轮数内没有提高"),
    "console.stopped.until": ("the accuracy asked for is reached", "已达到要求的准确率"),
    "console.stopped.time": ("the time is used up", "时间预算已用完"),
    "console.stopped.sigterm": ("asked to leave; the work is kept", "收到终止信号;进度已保存"),
    "console.stopped.sigint": ("interrupted; the work is kept", "已中断;进度已保存"),
    "console.stopped.asked": ("as asked", "按要求停止"),
}


def language() -> str:
    """`zh` or `en`: `EYAS_LANG` first, then the locale variables."""
    for name in ("EYAS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def render(code: str, values: dict[str, object], lang: str) -> str:
    """The lines of one error, aligned, first line with its code; control characters in values are escaped."""
    lines = ERRORS[code][1 if lang == "zh" else 0]
    safe = {k: printable(str(v)) for k, v in values.items()}
    labels = LABELS[lang]
    out = [f"{labels[0]} {code}  {lines.what.format(**safe)}"]
    for label, template in zip(labels[1:], lines[1:], strict=True):
        text = template.format(**safe) if template else ""
        if text:
            out.append(f"  {label:<7}  {text}")
    return "\n".join(out)


def say(key: str, /, *, lang: str | None = None, **values: object) -> str:
    """A phrase in the user's language.

    >>> say("done", lang="en")
    'done'
    """
    english, chinese = PHRASES[key]
    return (chinese if (lang or language()) == "zh" else english).format(**values)


def printable(text: str) -> str:
    """`text` without control characters: a file name may hold terminal escapes, and nobody wants to run them."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
