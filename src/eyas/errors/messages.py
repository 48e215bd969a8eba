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
        Lines(
            "this is not a TOML file",
            "{path}: {detail}",
            'lines like  epochs = 20  or  model = "fashion-cnn"',
            "correct that line; `eyas config show` prints what is in force",
        ),
        Lines(
            "这不是有效的 TOML 文件",
            "{path}: {detail}",
            '形如  epochs = 20  或  model = "fashion-cnn"  的行',
            "请修改该行；`eyas config show` 显示当前生效的设置",
        ),
    ),
    "EY-U009": (
        Lines(
            "the configuration file cannot be read", "{path}: {detail}", "a TOML file", "check the path after --config"
        ),
        Lines("无法读取配置文件", "{path}: {detail}", "TOML 文件", "请检查 --config 后的路径"),
    ),
    "EY-U010": (
        Lines(
            "there are two configurations in this folder",
            "{first} and [tool.eyas] in {second}",
            "one of them",
            "move the settings into {first} and delete [tool.eyas]",
        ),
        Lines(
            "此文件夹中有两份配置",
            "{first} 与 {second} 中的 [tool.eyas]",
            "只能有一份",
            "请将设置移入 {first}，并删除 [tool.eyas]",
        ),
    ),
    "EY-U011": (
        Lines("this environment variable means nothing to eyas", "{got}", "{allowed}", "{next}"),
        Lines("eyas 不认识此环境变量", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U012": (
        Lines("there is no such preset", "{got}", "{allowed}", "leave it out: every value has a default"),
        Lines("没有这个预设方案", "{got}", "{allowed}", "请去掉它：每个设置都有默认值"),
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
        Lines("需要键和值", "{got}", "KEY=VALUE：数字、true、false、单词或 [1, 2]", "{next}"),
    ),
    "EY-U021": (
        Lines("this part of the data is too large or too small", "{got}", "none, 0 < {name} < 1, or a path", "{next}"),
        Lines("所占数据比例过大或过小", "{got}", "none、0 < {name} < 1，或路径", "{next}"),
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
        Lines(
            "there are no validation images to decide on",
            "{got}  |  {val}",
            "{got} with --val 0.1 or --val PATH",
            "leave out {got}, or keep a validation part",
        ),
        Lines(
            "没有可供判断的验证图片",
            "{got}  |  {val}",
            "{got} 须与 --val 0.1 或 --val 路径 同用",
            "请去掉 {got}，或保留验证集",
        ),
    ),
    "EY-U025": (
        Lines("text is needed", "{got}", "{allowed}", "{next}"),
        Lines("需要文字", "{got}", "{allowed}", "{next}"),
    ),
    "EY-U026": (
        Lines(
            "there is nothing to predict",
            "{got}",
            "image files, folders with images, or - for a list on stdin",
            "eyas predict runs/latest photo.jpg",
        ),
        Lines(
            "没有可预测的图片",
            "{got}",
            "图片文件、含图片的文件夹，或 -（从标准输入读取列表）",
            "eyas predict runs/latest photo.jpg",
        ),
    ),
    "EY-U027": (
        Lines("this is not a folder", "{got}", "a folder that holds runs", "eyas runs"),
        Lines("这不是文件夹", "{got}", "存放运行结果的文件夹", "eyas runs"),
    ),
    "EY-U101": (
        Lines(
            "this folder holds another run",
            "{path}: {differences}",
            "the same command (it resumes), or another --out",
            "choose another --out, or add --fresh without --out to start a new numbered run",
        ),
        Lines(
            "此目录中是另一次运行",
            "{path}:{differences}",
            "相同的命令（会继续运行），或另一个 --out",
            "请换一个 --out，或不带 --out 使用 --fresh 新建编号运行",
        ),
    ),
    "EY-U102": (
        Lines(
            "this folder is not empty and holds no run",
            "{path}",
            "a new or empty folder, or one of a run",
            "choose another --out; nothing in it was touched",
        ),
        Lines(
            "此目录非空，且不是运行目录", "{path}", "新目录、空目录或已有的运行目录", "请换一个 --out；目录内容未被改动"
        ),
    ),
    "EY-U104": (
        Lines(
            "this folder holds a finished run of another length",
            "{path}: {differences}",
            "the same command (it prints the result)",
            "add --extend to train it for more epochs, or choose another --out",
        ),
        Lines(
            "此目录中是另一长度的已完成运行",
            "{path}：{differences}",
            "相同的命令（会打印结果）",
            "加上 --extend 可继续训练更多轮，或换一个 --out",
        ),
    ),
    "EY-U103": (
        Lines(
            "--extend needs a finished run and more epochs than it had",
            "{got}",
            "--out RUN --extend --epochs N with N above {done}",
            "say --epochs N with N above {done}",
        ),
        Lines(
            "--extend 需要一个已完成的运行和更多的轮数",
            "{got}",
            "--out RUN --extend --epochs N，N 大于 {done}",
            "请使用 --epochs N，N 大于 {done}",
        ),
    ),
    "EY-U105": (
        Lines(
            "--extend needs a finished run",
            "{path} holds none",
            "--out RUN of a finished run",
            "leave --extend out to start one there",
        ),
        Lines("--extend 需要一个已完成的运行", "{path} 中没有", "--out 指向已完成的运行", "去掉 --extend 即可在此新建"),
    ),
    "EY-U106": (
        Lines(
            "--fresh will not overwrite a run",
            "{path} holds one",
            "--fresh with a new --out, or without --out",
            "choose another --out, or remove that folder yourself",
        ),
        Lines(
            "--fresh 不会覆盖已有的运行",
            "{path} 中已有运行",
            "--fresh 配合新的 --out，或不带 --out",
            "请换一个 --out，或自行删除该目录",
        ),
    ),
    "EY-U107": (
        Lines(
            "--out is a file",
            "{path}",
            "a folder that holds this run, or one that is new or empty",
            "choose another --out",
        ),
        Lines("--out 是一个文件", "{path}", "保存此运行的目录，或新的、空的目录", "请换一个 --out"),
    ),
    "EY-U110": (
        Lines(
            "no run is found under this name",
            "{target}",
            "a folder of a run, `latest`, or a number; there are: {known}",
            "eyas runs",
        ),
        Lines("找不到此名称的运行", "{target}", "运行目录、latest 或编号；现有：{known}", "eyas runs"),
    ),
    "EY-U111": (
        Lines(
            "another process is writing to this run",
            "{path} (process {process})",
            "one writer at a time",
            "wait for it, or use another --out",
        ),
        Lines(
            "另一个进程正在写入此运行",
            "{path}（进程 {process}）",
            "同一时间只能有一个写入者",
            "请等待其结束，或换一个 --out",
        ),
    ),
    "EY-U112": (
        Lines(
            "this run has no chosen weights yet",
            "{path}: {status}",
            "a run that is done",
            "run its training command again: it goes on to the end",
        ),
        Lines("此运行尚无选定的权重", "{path}：{status}", "已完成的运行", "重新执行其训练命令：会继续到结束"),
    ),
    "EY-U130": (
        Lines(
            "this run knows classes that the images do not have",
            "{path}: {got}",
            "{allowed}",
            "give the images that the run was trained on, or leave --run out",
        ),
        Lines(
            "此运行包含图片中没有的类别",
            "{path}：{got}",
            "{allowed}",
            "请给出训练该运行的图片，或去掉 --run",
        ),
    ),
    "EY-U131": (
        Lines(
            "this run has scored no images yet",
            "{path}: no predictions.val.csv and no predictions.test.csv",
            "a run that is done and had a val or test part",
            "finish it (the same `eyas train` command goes on), or leave --run out",
        ),
        Lines(
            "此运行尚未对图片评分",
            "{path}：没有 predictions.val.csv 和 predictions.test.csv",
            "已完成且有验证集或测试集的运行",
            "请先完成它（重复相同的 `eyas train` 命令即可继续），或去掉 --run",
        ),
    ),
    "EY-U132": (
        Lines(
            "none of the images that this run has scored is here",
            "{path}: {n} names; here is for example {got}",
            "the images that the run was trained on, below the same folder",
            "give the same DATA as `eyas train` got, or leave --run out",
        ),
        Lines(
            "此运行评分过的图片都不在这里",
            "{path}：{n} 个名称；此处例如 {got}",
            "训练该运行的图片，且位于同一文件夹下",
            "请给出与 `eyas train` 相同的 DATA，或去掉 --run",
        ),
    ),
    "EY-U120": (
        Lines("there is no model of this name", "{name}", "{known}", "did you mean `{near}`?"),
        Lines("没有这个名称的模型", "{name}", "{known}", "您是不是想用 `{near}`？"),
    ),
    "EY-U121": (
        Lines(
            "the model {name} cannot take these images",
            "{got}",
            "{allowed}",
            "choose another --model, or --size and --channels that fit",
        ),
        Lines(
            "模型 {name} 不能接受这样的图片", "{got}", "{allowed}", "请换 --model，或使用合适的 --size 与 --channels"
        ),
    ),
    "EY-U122": (
        Lines(
            "the model {name} does not take this argument",
            "{got}",
            "{allowed}, with values above 0",
            "check --model-arg",
        ),
        Lines("模型 {name} 不接受该参数", "{got}", "{allowed}，取值大于 0", "请检查 --model-arg"),
    ),
    "EY-U123": (
        Lines(
            "--mean and --std need one value for each channel",
            "{got}",
            "{channels} value(s) each, means 0..1, deviations above 0",
            "leave them out: they are measured on the training images",
        ),
        Lines(
            "--mean 与 --std 每个通道需要一个值",
            "{got}",
            "各 {channels} 个值，均值 0..1，标准差大于 0",
            "可以省略：程序会在训练图片上测量",
        ),
    ),
    "EY-U140": (
        Lines(
            "weighted sampling needs weights",
            "no weight column in {got}",
            "a table with a column named weight: 0 or more for each image",
            "add the column, or use --sampling balanced",
        ),
        Lines(
            "按权重抽样需要权重",
            "{got} 中没有权重列",
            "含 weight 列的表格：每张图片一个不小于 0 的数",
            "请添加该列，或使用 --sampling balanced",
        ),
    ),
    "EY-U141": (
        Lines("this is not a size", "{got}", "a number with a unit, like 500MB, 50GB, 2TB, or none", "{next}"),
        Lines("这不是有效的大小", "{got}", "带单位的数字，如 500MB、50GB、2TB，或 none", "{next}"),
    ),
    "EY-U142": (
        Lines("this is not an age", "{got}", "a number of hours, days or weeks, like 12h, 30d, 2w", "{next}"),
        Lines("这不是有效的时长", "{got}", "小时、天或周数，如 12h、30d、2w", "{next}"),
    ),
    "EY-U143": (
        Lines("there is no such pack", "{got} in {path}", "{allowed}", "eyas cache lists them"),
        Lines("没有这个打包", "{path} 中的 {got}", "{allowed}", "eyas cache 可列出全部"),
    ),
    # ---- D: data --------------------------------------------------------------------------------------------------
    "EY-D001": (
        Lines(
            "there is nothing at this path",
            "{path}",
            "a folder of images, an archive (.zip, .tar), a label file, .parquet, IDX files or an .npz",
            "check the spelling; `eyas train --help` lists the layouts",
        ),
        Lines(
            "此路径下什么都没有",
            "{path}",
            "图片文件夹、压缩包（.zip、.tar）、标签文件、.parquet、IDX 文件或 .npz",
            "请检查拼写；`eyas train --help` 列出支持的布局",
        ),
    ),
    # finding the data: EY-D002..D073
    "EY-D002": (
        Lines(
            "there is nothing at this path",
            "{path}",
            "names that are there and nearly the same: {near}",
            "check the spelling",
        ),
        Lines("此路径下什么都没有", "{path}", "附近相似的名称：{near}", "请检查拼写"),
    ),
    "EY-D003": (
        Lines(
            "no images here",
            "{path}; left out: {left_out}",
            "files named .jpg .jpeg .png .webp .bmp .gif, in a folder for each class",
            "give the folder that holds the images; convert other formats to PNG or JPEG",
        ),
        Lines(
            "此处没有图片",
            "{path}；已忽略：{left_out}",
            "以 .jpg .jpeg .png .webp .bmp .gif 结尾的文件，每个类别一个文件夹",
            "请给出存放图片的文件夹；其他格式请先转换为 PNG 或 JPEG",
        ),
    ),
    "EY-D004": (
        Lines(
            "there is only one class, so there is nothing to tell apart",
            "{n} images of {name!r} in {path}, read as: {layout}",
            "at least two classes",
            "give the folder above, with one folder a class, or say where the labels are with --label-from",
        ),
        Lines(
            "只有一个类别，无从区分",
            "{path} 中有 {n} 张 {name!r}，识别为：{layout}",
            "至少两个类别",
            "请给出上一级文件夹（每个类别一个子文件夹），或用 --label-from 说明标签来源",
        ),
    ),
    "EY-D005": (
        Lines(
            "a class in {what} is not in train",
            "{name!r}",
            "{classes}",
            "rename the folder or label (nearest class of train: {near}), or add training images of {name!r}",
        ),
        Lines(
            "{what} 中的某个类别在 train 中不存在",
            "{name!r}",
            "{classes}",
            "请改名（train 中最接近的类别：{near}），或为 {name!r} 增加训练图片",
        ),
    ),
    "EY-D006": (
        Lines(
            "the images are in one folder, and which class each belongs to must be said",
            "{n} images in {path}: {examples}",
            "the names look as if they held {k} classes: {classes}",
            "{command}",
        ),
        Lines(
            "图片都在同一个文件夹中，需要说明各自的类别",
            "{path} 中有 {n} 张图片：{examples}",
            "文件名中似乎含有 {k} 个类别：{classes}",
            "{command}",
        ),
    ),
    "EY-D007": (
        Lines(
            "the images are in one folder, and nothing says which class each belongs to",
            "{n} images in {path}: {examples}",
            "a folder for each class, a CSV with path and label, or labels in the file names",
            "move the images into class folders, or give a CSV, or --label-from with a regular expression of one group",
        ),
        Lines(
            "图片都在同一个文件夹中，没有任何类别信息",
            "{path} 中有 {n} 张图片：{examples}",
            "每个类别一个文件夹、含路径与标签的 CSV，或文件名中含标签",
            "请把图片移入各类别文件夹，或给出 CSV，或用 --label-from 给出含一个分组的正则表达式",
        ),
    ),
    "EY-D008": (
        Lines(
            "this is a pickle, and loading a pickle runs whatever code is in it",
            "{name} in {path}",
            "images in class folders, .npz, IDX, CSV",
            "{convert}",
        ),
        Lines(
            "这是 pickle 文件，加载它会执行其中的任意代码",
            "{path} 中的 {name}",
            "类别文件夹中的图片、.npz、IDX、CSV",
            "{convert}",
        ),
    ),
    "EY-D009": (
        Lines(
            "this kind of data is not read",
            "{path} ({kind})",
            "a folder of images, .zip .tar .tar.gz, shards-{{000..009}}.tar, .parquet, .csv .tsv .jsonl, IDX files, .npz",
            "unpack other archives first and give the folder; fetch remote data first",
        ),
        Lines(
            "不支持这种数据",
            "{path}（{kind}）",
            "图片文件夹、.zip .tar .tar.gz、shards-{{000..009}}.tar、.parquet、.csv .tsv .jsonl、IDX 文件、.npz",
            "其他压缩包请先解压再给出文件夹；远程数据请先下载",
        ),
    ),
    "EY-D010": (
        Lines(
            "this is a single image",
            "{path}",
            "a folder of images, an archive (.zip, .tar), a label file, .parquet, IDX files or an .npz",
            "give the folder: {folder}; to classify one image use `eyas predict`",
        ),
        Lines(
            "这是单张图片",
            "{path}",
            "图片文件夹、压缩包（.zip、.tar）、标签文件、.parquet、IDX 文件或 .npz",
            "请给出文件夹：{folder}；对单张图片分类请用 `eyas predict`",
        ),
    ),
    "EY-D011": (
        Lines(
            "--label-from is not a regular expression",
            "{pattern}: {reason}",
            "a regular expression with one group, or `parent`",
            "for cat_12.jpg: --label-from '^(.+)_[0-9]+'",
        ),
        Lines(
            "--label-from 不是正则表达式",
            "{pattern}:{reason}",
            "含一个分组的正则表达式，或 parent",
            "例如 cat_12.jpg：--label-from '^(.+)_[0-9]+'",
        ),
    ),
    "EY-D012": (
        Lines(
            "--label-from needs exactly one group: the label",
            "{n} groups in {pattern}",
            "one pair of ( ), others as (?: )",
            "for cat_12.jpg: --label-from '^(.+)_[0-9]+'",
        ),
        Lines(
            "--label-from 需要恰好一个分组作为标签",
            "{pattern} 中有 {n} 个分组",
            "一对 （），其余写成 （？：）",
            "例如 cat_12.jpg：--label-from '^(.+)_[0-9]+'",
        ),
    ),
    "EY-D013": (
        Lines(
            "--label-from does not fit most of the file names",
            "{pattern} misses {n} of {total}: {examples}",
            "a pattern that is found in the names; with a / in it, in the whole path below the folder",
            "try it on one of these names",
        ),
        Lines(
            "--label-from 与大多数文件名不符",
            "{pattern} 未匹配 {total} 个中的 {n} 个：{examples}",
            "能在文件名中找到的模式；若含 /，则匹配文件夹以下的完整路径",
            "请用其中一个文件名试一试",
        ),
    ),
    "EY-D014": (
        Lines("this cannot be read", "{path}: {reason}", "", "check the permissions: ls -ld {path}"),
        Lines("无法读取", "{path}:{reason}", "", "请检查权限：ls -ld {path}"),
    ),
    "EY-D020": (
        Lines(
            "no column of this table is known as {roles}",
            "{path} with columns: {columns}",
            "{allowed}",
            "rename the column in the table's first line to one of these names",
        ),
        Lines("表中没有可识别为 {roles} 的列", "{path}，列：{columns}", "{allowed}", "请把表头中的列名改为以上之一"),
    ),
    "EY-D021": (
        Lines("there is no such column", "{name} in {path}", "{allowed}", "the nearest is {near}"),
        Lines("没有这一列", "{path} 中的 {name}", "{allowed}", "最接近的是 {near}"),
    ),
    "EY-D022": (
        Lines(
            "the table names files that are not there",
            "{n} of {total} rows of {path}: {examples}",
            "paths relative to {base}, or absolute",
            "{hint}",
        ),
        Lines(
            "表中的文件不存在",
            "{path} 的 {total} 行中有 {n} 行：{examples}",
            "相对于 {base} 的路径，或绝对路径",
            "{hint}",
        ),
    ),
    "EY-D023": (
        Lines(
            "rows without a label",
            "{n} rows of {path}, lines {lines}",
            "a label in column {column!r} of every row",
            "fill them in, or take the rows out",
        ),
        Lines(
            "有些行没有标签",
            "{path} 中 {n} 行，行号 {lines}",
            "每行的 {column!r} 列都要有标签",
            "请补全标签，或删除这些行",
        ),
    ),
    "EY-D024": (
        Lines(
            "this is not the name of a split",
            "{got!r} in column {column!r}, line {line} of {path}",
            "{allowed}; empty = to be decided",
            "correct the cell, or rename the column if it means something else",
        ),
        Lines(
            "这不是划分的名称",
            "{path} 第 {line} 行 {column!r} 列的 {got!r}",
            "{allowed}；留空 = 由程序决定",
            "请更正该单元格；若该列另有含义请改名",
        ),
    ),
    "EY-D025": (
        Lines(
            "one file is listed twice with different answers",
            "{name} in lines {other} and {line} of {path}: {got}",
            "one label and one split for a file",
            "take one of the two lines out",
        ),
        Lines(
            "同一文件出现两次且内容不同",
            "{path} 第 {other} 行与第 {line} 行的 {name}：{got}",
            "每个文件只有一个标签和一个划分",
            "请删除其中一行",
        ),
    ),
    "EY-D026": (
        Lines(
            "the text of this file cannot be read",
            "{path}",
            "UTF-8, with or without BOM; UTF-16 with BOM; GB18030 (GBK)",
            "save it again as UTF-8",
        ),
        Lines(
            "无法读取该文件的文字",
            "{path}",
            "UTF-8（有无 BOM 均可）、带 BOM 的 UTF-16、GB18030（GBK）",
            "请另存为 UTF-8",
        ),
    ),
    "EY-D027": (
        Lines(
            "a line of this table is damaged",
            "line {line} of {path}: {reason}",
            "CSV, TSV: as many cells as the header has; JSONL: one object a line",
            "correct the line; cells that hold the delimiter must be in double quotes",
        ),
        Lines(
            "表中有一行格式错误",
            "{path} 第 {line} 行：{reason}",
            "CSV、TSV：单元格数与表头一致；JSONL：每行一个对象",
            "请更正该行；含分隔符的单元格要用双引号括起",
        ),
    ),
    "EY-D028": (
        Lines(
            "several tables here could be the list of labels",
            "{names} in {path}",
            "one table, or train.csv with val.csv and test.csv",
            "give the table itself instead of the folder",
        ),
        Lines(
            "此处有多个可能的标签表",
            "{path} 中的 {names}",
            "一个表，或 train.csv 加 val.csv、test.csv",
            "请直接给出表文件而不是文件夹",
        ),
    ),
    "EY-D029": (
        Lines(
            "this is not a weight",
            "{got!r} in column {column!r}, line {line} of {path}",
            "a finite number, 0 or more; empty = 1",
            "correct the cell, or rename the column if it means something else",
        ),
        Lines(
            "这不是有效的权重",
            "{path} 第 {line} 行 {column!r} 列的 {got!r}",
            "不小于 0 的有限数；留空 = 1",
            "请更正该单元格；若该列另有含义请改名",
        ),
    ),
    "EY-D030": (
        Lines(
            "this IDX file is damaged or not an IDX file",
            "{path}: {reason}",
            "uint8 images (n, h, w) and labels (n), gzip or not",
            "fetch the file again",
        ),
        Lines(
            "IDX 文件已损坏或不是 IDX 文件",
            "{path}:{reason}",
            "uint8 图片 （n，h，w）与标签 （n），可用 gzip 压缩",
            "请重新下载该文件",
        ),
    ),
    "EY-D031": (
        Lines(
            "there are not as many labels as images",
            "{n} images in {images}, {k} labels in {labels}",
            "one label for each image",
            "check that the two files belong together",
        ),
        Lines(
            "标签数与图片数不一致",
            "{images} 中 {n} 张图片，{labels} 中 {k} 个标签",
            "每张图片一个标签",
            "请检查两个文件是否配套",
        ),
    ),
    "EY-D032": (
        Lines(
            "an IDX file lies here without its companion",
            "{path}",
            "images and labels of the same name",
            "put {wanted} (or {wanted}.gz) beside it",
        ),
        Lines("IDX 文件缺少配套文件", "{path}", "同名的 images 与 labels", "请把 {wanted}（或 {wanted}.gz）放在旁边"),
    ),
    "EY-D033": (
        Lines(
            "several sets of IDX files lie here",
            "{names} in {path}",
            "one set",
            "give one of the image files instead of the folder",
        ),
        Lines("此处有多套 IDX 文件", "{path} 中的 {names}", "一套", "请给出其中一个图片文件而不是文件夹"),
    ),
    "EY-D040": (
        Lines(
            "this .npz cannot be read",
            "{path}: {reason}",
            "plain arrays as numpy.savez writes them; pickled objects are never loaded",
            "save it again with numpy.savez(path, images=..., labels=...)",
        ),
        Lines(
            "无法读取该 .npz",
            "{path}:{reason}",
            "numpy.savez 写出的普通数组；绝不加载 pickle 对象",
            "请用 numpy.savez(path, images=..., labels=...)重新保存",
        ),
    ),
    "EY-D041": (
        Lines(
            "no pair of images and labels in this .npz",
            "{path} with arrays: {names}",
            "x_train + y_train, x_test + y_test; images + labels; x + y; train_images + train_labels",
            "save it again with these names",
        ),
        Lines(
            "该 .npz 中没有成对的图片与标签",
            "{path}，数组：{names}",
            "x_train + y_train、x_test + y_test;images + labels;x + y;train_images + train_labels",
            "请用这些名称重新保存",
        ),
    ),
    "EY-D042": (
        Lines("an array has the wrong shape", "{name} {got} in {path}", "{allowed}", "{hint}"),
        Lines("数组形状不符", "{path} 中的 {name} {got}", "{allowed}", "{hint}"),
    ),
    "EY-D043": (
        Lines("an array has the wrong type", "{name}: {got} in {path}", "{allowed}", "{hint}"),
        Lines("数组类型不符", "{path} 中的 {name}：{got}", "{allowed}", "{hint}"),
    ),
    "EY-D044": (
        Lines(
            "there are not as many labels as images",
            "{n} in {images}, {k} in {labels}, of {path}",
            "one label for each image",
            "check how the arrays were made",
        ),
        Lines(
            "标签数与图片数不一致",
            "{path}：{images} 有 {n} 个，{labels} 有 {k} 个",
            "每张图片一个标签",
            "请检查数组的生成过程",
        ),
    ),
    "EY-D045": (
        Lines(
            "there are labels without a class name",
            "{got} in {where}",
            "{n} classes: {allowed}",
            "correct the labels or the list of class names",
        ),
        Lines("有些标签没有对应的类别名", "{where} 中的 {got}", "{n} 个类别：{allowed}", "请更正标签或类别名列表"),
    ),
    "EY-D050": (
        Lines("a class is listed twice", "{classes} in {path}", "one name a line, each once", "take one of them out"),
        Lines("类别重复", "{path} 中的 {classes}", "每行一个名称，不可重复", "请删除其中一个"),
    ),
    "EY-D051": (
        Lines(
            "there are images of a class that classes.txt does not list",
            "{classes}; {path}",
            "{allowed}",
            "add the class to the file, or correct its name: the nearest is {near!r}",
        ),
        Lines(
            "有些图片的类别不在 classes.txt 中",
            "{classes};{path}",
            "{allowed}",
            "请把该类别加入文件，或更正名称：最接近的是 {near!r}",
        ),
    ),
    "EY-D060": (
        Lines(
            "--{what} is not understood",
            "{got}",
            "none, a fraction between 0 and 1 like 0.1 or 10%, or a path",
            "--{what} none for no such part; ./0.5 for a folder of that name",
        ),
        Lines(
            "无法理解 --{what}",
            "{got}",
            "none、0 与 1 之间的比例（如 0.1 或 10%）或路径",
            "不需要该部分请用 --{what} none；同名文件夹请写成 ./0.5",
        ),
    ),
    "EY-D061": (
        Lines(
            "the data already has its {what}",
            "{n} images declared as {what}, and --{what} {path}",
            "one of the two",
            "leave --{what} out, or give only the training folder as DATA",
        ),
        Lines(
            "数据中已有 {what}",
            "已声明为 {what} 的图片 {n} 张，又给出 --{what} {path}",
            "二者取一",
            "请去掉 --{what}，或只把训练文件夹作为 DATA",
        ),
    ),
    "EY-D062": (
        Lines(
            "{what} is of another kind than the training data",
            "{got}",
            "{allowed}",
            "give both as image files, or both as arrays",
        ),
        Lines("{what} 与训练数据的形式不同", "{got}", "{allowed}", "请都用图片文件，或都用数组"),
    ),
    "EY-D063": (
        Lines(
            "the images of {what} have another shape",
            "{got}",
            "{allowed}, as the first ones",
            "bring both to one shape before saving them",
        ),
        Lines("{what} 的图片形状不同", "{got}", "{allowed}，与前面的相同", "请在保存前统一形状"),
    ),
    "EY-D064": (
        Lines(
            "this is not a splits.csv that eyas wrote",
            "{path}, line {line}: {reason}",
            "columns path, label, split, group, cluster, hash",
            "give the splits.csv of a run, or leave --splits out",
        ),
        Lines(
            "这不是 eyas 写出的 splits.csv",
            "{path} 第 {line} 行：{reason}",
            "列 path、label、split、group、cluster、hash",
            "请给出某次运行的 splits.csv，或去掉 --splits",
        ),
    ),
    "EY-D065": (
        Lines(
            "nothing is left to train on",
            "{n} images: {bad} unreadable, {val} in val, {test} in test",
            "at least one readable training image",
            "add images, or a folder called train, or a smaller --val and --test",
        ),
        Lines(
            "没有可用于训练的图片",
            "{n} 张图片：{bad} 张无法读取，{val} 张在 val，{test} 张在 test",
            "至少一张可读的训练图片",
            "请增加图片，或增加名为 train 的文件夹，或减小 --val 与 --test",
        ),
    ),
    "EY-D066": (
        Lines(
            "--holdout is not understood",
            "{got}",
            "none, or a fraction between 0 and 1 like 0.1 or 10%",
            "for images that lie elsewhere: --test PATH",
        ),
        Lines(
            "无法理解 --holdout",
            "{got}",
            "none，或 0 与 1 之间的比例（如 0.1 或 10%）",
            "若图片在别处，请用 --test 路径",
        ),
    ),
    "EY-D070": (
        Lines(
            "{name} is not on this machine",
            "nothing in {places}",
            "the four files of {name} in one of these folders, or their folder as DATA",
            "add --download to fetch it (31 MB), or use fashion-sample, which ships with eyas",
        ),
        Lines(
            "本机上没有 {name}",
            "以下位置均无：{places}",
            "{name} 的四个文件位于以上任一文件夹，或直接给出其文件夹",
            "加上 --download 即可下载（31 MB），或使用随附的 fashion-sample",
        ),
    ),
    "EY-D071": (
        Lines(
            "a file could not be fetched",
            "{name}: {reasons}",
            "",
            "try again: it goes on where it was cut off; or put the file into {path} yourself",
        ),
        Lines("文件下载失败", "{name}:{reasons}", "", "请重试（会从中断处继续），或自行把文件放入 {path}"),
    ),
    "EY-D072": (
        Lines(
            "this is not the {name} that is known: its SHA-256 differs",
            "{path}",
            "the published content, byte for byte",
            "delete the files and fetch them again; to use other data of the same form give its folder as a path",
        ),
        Lines(
            "内容与已知的 {name} 不符：SHA-256 不一致",
            "{path}",
            "与发布内容逐字节一致",
            "请删除这些文件后重新下载；若要使用其他同格式数据，请以路径形式给出文件夹",
        ),
    ),
    "EY-D073": (
        Lines(
            "cifar10 is not on this machine as images",
            "nothing in {places}",
            "a folder with train/<class>/*.jpg|png and test/<class>/*.jpg|png",
            "put it into one of these folders, or give its folder as DATA; the pickled batches are not read",
        ),
        Lines(
            "本机上没有图片形式的 cifar10",
            "以下位置均无：{places}",
            "含 train/<类别>/*.jpg|png 与 test/<类别>/*.jpg|png 的文件夹",
            "请放入以上任一文件夹，或直接给出其文件夹；不读取 pickle 批次文件",
        ),
    ),
    # archives, shards, Parquet: EY-D074..D099
    "EY-D074": (
        Lines("this archive is damaged", "{path}: {reason}", "zip, tar, tar.gz, tar.bz2, tar.xz", "fetch it again"),
        Lines("压缩包已损坏", "{path}：{reason}", "zip、tar、tar.gz、tar.bz2、tar.xz", "请重新下载"),
    ),
    "EY-D075": (
        Lines(
            "this archive is encrypted",
            "{n} files in {path}: {examples}",
            "archives without a password",
            "unpack it with its password and give the folder",
        ),
        Lines("压缩包已加密", "{path} 中 {n} 个文件：{examples}", "无密码的压缩包", "请用密码解压后给出文件夹"),
    ),
    "EY-D076": (
        Lines(
            "this archive claims more than it should: it may be a bomb",
            "{what}: {got}, in {path}",
            "at most {allowed}",
            "if you trust it, unpack it yourself and give the folder",
        ),
        Lines(
            "压缩包的内容超出限度，可能是压缩炸弹",
            "{path} 中{what}：{got}",
            "最多 {allowed}",
            "若可信任，请自行解压后给出文件夹",
        ),
    ),
    "EY-D077": (
        Lines(
            "this archive is compressed in a way that is not read",
            "method {got} for {n} files in {path}: {examples}",
            "stored (0), deflate (8)",
            "unpack it and give the folder, or pack it again with `zip`",
        ),
        Lines(
            "不支持该压缩方式",
            "{path} 中 {n} 个文件的方法 {got}：{examples}",
            "存储（0）、deflate（8）",
            "请解压后给出文件夹，或用 `zip` 重新打包",
        ),
    ),
    "EY-D078": (
        Lines(
            "nothing is fetched from the network",
            "{path}",
            "what is on this machine: .parquet files, .tar shards, a folder of images",
            "fetch it once, then give the folder: hf download --repo-type dataset {name} --local-dir {folder}; eyas train {folder}",
        ),
        Lines(
            "程序不会从网络下载数据",
            "{path}",
            "本机上的数据：.parquet 文件、.tar 分片或图片文件夹",
            "请先下载一次再给出文件夹：hf download --repo-type dataset {name} --local-dir {folder}；eyas train {folder}",
        ),
    ),
    "EY-D079": (
        Lines(
            "this is not a regular file",
            "{path}: {kind}",
            "a folder of images, an archive (.zip, .tar), a label file, .parquet, IDX files or an .npz",
            "write it to a file first",
        ),
        Lines(
            "这不是普通文件",
            "{path}：{kind}",
            "图片文件夹、压缩包（.zip、.tar）、标签文件、.parquet、IDX 文件或 .npz",
            "请先写入一个文件",
        ),
    ),
    "EY-D080": (
        Lines(
            "some of these shards are not there",
            "{n} of {total} missing: {examples}",
            "every file that the braces name",
            "fetch them, or correct the range in the braces",
        ),
        Lines(
            "有些分片不存在",
            "{total} 个中缺少 {n} 个：{examples}",
            "花括号所指的每个文件",
            "请下载缺少的分片，或更正范围",
        ),
    ),
    "EY-D081": (
        Lines(
            "these shards hold images without labels",
            "{n} images in {path}: {examples}",
            "for each key.jpg a key.cls (number or name), key.txt, or key.json with label or class",
            "write the labels into the shards, or unpack them and give a CSV with path and label",
        ),
        Lines(
            "这些分片中的图片没有标签",
            "{path} 中 {n} 张图片：{examples}",
            "每个 key.jpg 需要 key.cls（编号或名称）、key.txt，或含 label、class 的 key.json",
            "请把标签写入分片，或解压后给出含路径与标签的 CSV",
        ),
    ),
    "EY-D082": (
        Lines("this Parquet file cannot be read", "{path}: {reason}", "", "fetch it again"),
        Lines("无法读取该 Parquet 文件", "{path}：{reason}", "", "请重新下载"),
    ),
    "EY-D083": (
        Lines(
            "no column of this Parquet file is known as {role}",
            "{path} with columns: {columns}",
            "{allowed}",
            "rename the column, or write the file with `datasets` (Image and ClassLabel features)",
        ),
        Lines(
            "Parquet 文件中没有可识别为{role}的列",
            "{path}，列：{columns}",
            "{allowed}",
            "请更改列名，或用 `datasets` 写出（Image 与 ClassLabel 特征）",
        ),
    ),
    "EY-D084": (
        Lines(
            "these Parquet files do not belong together",
            "{got} in {path}",
            "{allowed}, as in {first}",
            "give one set alone: its folder or one of its files",
        ),
        Lines(
            "这些 Parquet 文件不属于同一数据集",
            "{path} 中为 {got}",
            "{allowed}，与 {first} 相同",
            "请只给出一个数据集：其文件夹或其中一个文件",
        ),
    ),
    "EY-D085": (
        Lines(
            "the images are not inside this Parquet file: it holds only their paths",
            "column {column!r} of {path}",
            "image bytes",
            "give the folder of the images with a CSV of path and label, or write the file with the bytes embedded",
        ),
        Lines(
            "图片不在该 Parquet 文件中，其中只有路径",
            "{path} 的 {column!r} 列",
            "图片字节",
            "请给出图片文件夹与含路径和标签的 CSV，或在写出时嵌入图片字节",
        ),
    ),
    "EY-D086": (
        Lines(
            "an .npy holds one array: images or labels, but not both",
            "{path}",
            "an .npz with images (uint8) and labels",
            "numpy.savez('set.npz', images=numpy.load('{name}'), labels=…)",
        ),
        Lines(
            ".npy 只含一个数组：图片或标签，不能兼有",
            "{path}",
            "含 images（uint8）与 labels 的 .npz",
            "numpy.savez('set.npz', images=numpy.load('{name}'), labels=…)",
        ),
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
            "请重新从运行目录或模型包取得该文件：它被改动、损坏，或由更新版本的 eyas 写成",
        ),
    ),
    "EY-D101": (
        Lines(
            "these images were prepared by a decoder that this eyas does not have",
            "{decoder}",
            "{allowed}",
            "install the version of eyas that trained it, or train again",
        ),
        Lines(
            "这些图像由当前 eyas 没有的解码器处理", "{decoder}", "{allowed}", "请安装训练时所用的 eyas 版本，或重新训练"
        ),
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
            "uint8，形状为 高 x 宽，或 高 x 宽 x 1 或 3；取值 0..255",
            "请先转换，例如取值 0..1 时用 (image * 255).round().astype('uint8')",
        ),
    ),
    "EY-D103": (
        Lines(
            "this image size cannot be used",
            "{got}",
            "whole numbers from 1 to {most}",
            "give --size in pixels, like --size 64",
        ),
        Lines("不能使用该图像尺寸", "{got}", "1 到 {most} 的整数", "请以像素给出 --size，例如 --size 64"),
    ),
    "EY-D104": (
        Lines(
            "there are no images to choose a size from",
            "0 images",
            "at least one image that can be read",
            "check the folder; or give --size",
        ),
        Lines("没有可用于确定尺寸的图像", "0 张图像", "至少一张可读取的图像", "请检查文件夹，或指定 --size"),
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
            "{n} 张图片中的 {count} 张，第一张编号为 {first}",
            "有限的概率值",
            "模型已发散：请评估更早的检查点，或用更小的 --lr 重新训练",
        ),
    ),
    "EY-D171": (
        Lines(
            "there are no stored predictions of the split '{split}'",
            "no file {path}",
            "",
            "`eyas evaluate RUN --split {split}` makes them",
        ),
        Lines("没有“{split}”部分的预测记录", "文件不存在：{path}", "", "运行 `eyas evaluate RUN --split {split}` 生成"),
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
            "由 eyas 写出的文件：float32 分数（.npy）及其索引（.csv）",
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
            "{csv} 与 {npy} 不匹配，或不属于此运行",
            "{detail}",
            "数组每行对应一行记录，类别与 run.json 一致",
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
            "请从备份恢复，或将其移走：报告将不含这部分内容",
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
            "由 `eyas train` 建立的文件夹，如 runs/001-photos",
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
            "请从备份恢复；检查点不受影响",
        ),
    ),
    "EY-D182": (
        Lines(
            "this run was written by another version of eyas",
            "schema {schema} in {path}",
            "{allowed}",
            "use the version of eyas that made the run",
        ),
        Lines(
            "此运行由其他版本的 eyas 写出", "{path} 中的模式为 {schema}", "{allowed}", "请使用建立该运行的 eyas 版本"
        ),
    ),
    "EY-D200": (
        Lines(
            "images that you declared for {split} cannot be read",
            "{count} of {n}, first {first}",
            "every image of a declared val or test",
            "mend or remove them, or add --allow-bad: they are then left out and counted",
        ),
        Lines(
            "您声明用于 {split} 的图片中有无法读取的",
            "{n} 张中的 {count} 张，第一张是 {first}",
            "声明的验证/测试集中的每张图片都可读",
            "请修复或移除它们，或加 --allow-bad（剔除并计数）",
        ),
    ),
    "EY-D201": (
        Lines(
            "too little is left to train on",
            "{got}",
            "at least two classes with a readable image each",
            "`{count}` unreadable files were set aside; look at them first",
        ),
        Lines(
            "可用于训练的图片太少",
            "{got}",
            "至少两个类别，每类至少一张可读图片",
            "有 `{count}` 个无法读取的文件被剔除，请先检查",
        ),
    ),
    "EY-D202": (
        Lines(
            "this run has no stored scores of that split",
            "{split} in {path}",
            "{allowed}",
            "give the images: eyas evaluate RUN DATA",
        ),
        Lines("此运行没有该划分的评分", "{path} 中的 {split}", "{allowed}", "请给出图片：eyas evaluate RUN DATA"),
    ),
    "EY-D140": (
        Lines(
            "an augmentation setting makes no sense",
            "{name} = {value}",
            "{allowed}",
            "`eyas show DATA` draws what a setting does",
        ),
        Lines("数据增强参数不合理", "{name} = {value}", "{allowed}", "`eyas show DATA` 可查看参数的效果"),
    ),
    "EY-D141": (
        Lines(
            "an image file changed while it was being packed",
            "{path}",
            "files that stay as they are until packing is done",
            "run the same command again when nothing writes into the folder any more",
        ),
        Lines("打包过程中图片文件被修改", "{path}", "打包完成前文件须保持不变", "待无程序写入该目录后重新运行相同命令"),
    ),
    "EY-D142": (
        Lines(
            "an image file changed while it was being trained on without a pack",
            "{path}",
            "files that stay as they are until the run is done",
            "run the same command again: what changed is looked at anew",
        ),
        Lines(
            "不打包训练过程中图片文件被修改",
            "{path}",
            "运行结束前文件须保持不变",
            "请重新运行相同命令：变化会被重新检查",
        ),
    ),
    "EY-D143": (
        Lines(
            "no image of this class can be decoded any more",
            "{name}: {detail}",
            "at least one image that is whole",
            "see what happened to the files, or train with a pack (leave out --no-pack)",
        ),
        Lines(
            "此类别已没有可解码的图片",
            "{name}：{detail}",
            "至少一张完好的图片",
            "请检查文件，或去掉 --no-pack 以打包训练",
        ),
    ),
    "EY-D144": (
        Lines(
            "the weights leave nothing to draw from",
            "{n} training images, none with a weight above 0",
            "weights of 0 or more, at least one above 0",
            "correct the weight column, or leave out --sampling weighted",
        ),
        Lines(
            "权重使得没有样本可抽",
            "{n} 张训练图片的权重均不大于 0",
            "权重不小于 0，且至少一个大于 0",
            "请修改权重列，或去掉 --sampling weighted",
        ),
    ),
    # ---- M: missing tools -----------------------------------------------------------------------------------------
    "EY-M001": (
        Lines("this needs a package that is not installed", "{package}", "", "pip install '{hint}'"),
        Lines("需要一个尚未安装的软件包", "{package}", "", "pip install '{hint}'"),
    ),
    "EY-M030": (
        Lines("this device is not here", "{device}", "{allowed}", "leave --device out: the Plan chooses"),
        Lines("没有此设备", "{device}", "{allowed}", "可以省略 --device，由程序选择"),
    ),
    # ---- S: storage -----------------------------------------------------------------------------------------------
    "EY-S001": (
        Lines(
            "the disk or its rights are in the way",
            "{path}: {reason}",
            "a folder that can be written, with free space",
            "`eyas doctor` shows what is free and what can be written",
        ),
        Lines(
            "磁盘或权限不允许此操作",
            "{path}:{reason}",
            "可写且有剩余空间的文件夹",
            "`eyas doctor` 显示剩余空间与可写情况",
        ),
    ),
    "EY-S100": (
        Lines(
            "not enough disk space for the packed images",
            "{free} free at {path}",
            "{need}",
            "free some space, set EYAS_CACHE to a larger disk, ask for a smaller --size, or use --no-pack",
        ),
        Lines(
            "磁盘空间不足以存放打包后的图片",
            "{path} 剩余 {free}",
            "{need}",
            "请清理空间、将 EYAS_CACHE 指向更大的磁盘、减小 --size，或使用 --no-pack",
        ),
    ),
    "EY-S101": (
        Lines(
            "the packed images do not fit into the cache beside those in use",
            "{need} for {n} images",
            "{limit} for all packs together",
            "raise --cache-limit, ask for a smaller --size, or use --no-pack",
        ),
        Lines(
            "缓存放不下打包后的图片（正在使用的除外）",
            "{n} 张图片需要 {need}",
            "所有打包合计不超过 {limit}",
            "请提高 --cache-limit、减小 --size，或使用 --no-pack",
        ),
    ),
    "EY-S102": (
        Lines(
            "the cache folder cannot be written",
            "{path}: {detail}",
            "a writable folder on a local disk",
            "set EYAS_CACHE to one, for example EYAS_CACHE=/tmp/eyas",
        ),
        Lines(
            "缓存目录不可写",
            "{path}:{detail}",
            "本地磁盘上可写的目录",
            "请用 EYAS_CACHE 指定，例如 EYAS_CACHE=/tmp/eyas",
        ),
    ),
    "EY-S103": (
        Lines(
            "packed images do not match their checksums: the disk lost data",
            "{count} of {n} in {path}",
            "all of them match",
            "eyas cache verify removes it; the next run makes it anew from the images",
        ),
        Lines(
            "打包图片与校验和不符：磁盘数据损坏",
            "{path} 中 {n} 张里有 {count} 张",
            "全部一致",
            "运行 eyas cache verify 将其删除；下次运行会由原图重新生成",
        ),
    ),
    "EY-S104": (
        Lines(
            "writing the packed images failed",
            "{path}: {detail}",
            "",
            "see that the disk is sound and not full, then run the same command again",
        ),
        Lines("写入打包图片失败", "{path}:{detail}", "", "请确认磁盘正常且未满，然后重新运行相同命令"),
    ),
    "EY-S107": (
        Lines(
            "an image cannot be read, again and again",
            "{path}: {detail}, {tries} times",
            "a disk that answers; a broken image would have been left out, not this",
            "see that the disk or the network share is there, then run the same command again: it goes on",
        ),
        Lines(
            "反复无法读取图片",
            "{path}：{detail}（{tries} 次）",
            "磁盘可用；若是图片损坏会被剔除，而非此错误",
            "请确认磁盘或网络共享可用，然后重新运行相同命令即可继续",
        ),
    ),
    "EY-S110": (
        Lines(
            "there is no room to unpack this archive",
            "{free} free at {path}",
            "{need}",
            "free some space, set EYAS_CACHE to a larger disk, or unpack it elsewhere and give the folder",
        ),
        Lines(
            "没有足够空间解压该压缩包",
            "{path} 剩余 {free}",
            "{need}",
            "请清理空间、将 EYAS_CACHE 指向更大的磁盘，或解压到别处后给出文件夹",
        ),
    ),
    "EY-S201": (
        Lines(
            "not enough space for a checkpoint",
            "{free} free at {path}",
            "{needed}",
            "free some space; the older checkpoints are untouched",
        ),
        Lines("磁盘空间不足以保存检查点", "{path} 剩余 {free}", "{needed}", "请清理空间；旧检查点完好"),
    ),
    "EY-S202": (
        Lines(
            "checkpoints cannot be written",
            "{failures} failures in a row at {path}: {reason}",
            "",
            "free space or mend the disk, then run the same command: it goes on from the last whole checkpoint",
        ),
        Lines(
            "无法写入检查点",
            "{path} 连续 {failures} 次失败：{reason}",
            "",
            "请清理空间或修复磁盘，然后重新执行相同命令：将从最后一个完整的检查点继续",
        ),
    ),
    "EY-S203": (
        Lines(
            "the folder of the run cannot be written",
            "{path}: {reason}",
            "a writable folder with free space",
            "choose another --out",
        ),
        Lines("无法写入运行目录", "{path}:{reason}", "可写且有剩余空间的目录", "请换一个 --out"),
    ),
    "EY-S206": (
        Lines(
            "the disk refused while the run was written",
            "{path}: {reason}",
            "",
            "free space or mend the disk, then run the same command: it goes on from the last whole checkpoint",
        ),
        Lines(
            "写入运行目录时磁盘拒绝",
            "{path}：{reason}",
            "",
            "请清理空间或修复磁盘，然后重新执行相同命令：将从最后一个完整的检查点继续",
        ),
    ),
    "EY-S207": (
        Lines(
            "this run's own description cannot be understood",
            "{path}: {reason}",
            "",
            "restore run.json from a backup, or use the eyas that wrote it; weights and predictions in {folder} are "
            "untouched",
        ),
        Lines(
            "无法读取此运行的描述文件",
            "{path}：{reason}",
            "",
            "请从备份恢复 run.json，或使用写出它的 eyas 版本；{folder} 中的权重和预测未受影响",
        ),
    ),
    "EY-S205": (
        Lines(
            "the trained weights could not be written",
            "no checkpoint in {path}: the disk refused every one",
            "",
            "free space or mend the disk, then run the same command",
        ),
        Lines(
            "训练好的权重无法写入",
            "{path} 中没有检查点：磁盘拒绝了每一次写入",
            "",
            "请清理空间或修复磁盘，然后重新执行相同命令",
        ),
    ),
    "EY-S204": (
        Lines(
            "no checkpoint of this run is whole",
            "{path}: {damaged}",
            "at least one that matches its checksums",
            "train again: the same command with another --out, or without --out and with --fresh",
        ),
        Lines(
            "此运行没有完整的检查点",
            "{path}:{damaged}",
            "至少一个与校验和一致的检查点",
            "请重新训练：相同命令换一个 --out，或去掉 --out 并加 --fresh",
        ),
    ),
    # ---- T: training ----------------------------------------------------------------------------------------------
    "EY-T001": (
        Lines(
            "training diverged: losses or gradients were not finite, or far too large",
            "{skipped} skipped updates in 100 steps, the last at step {step}, after going back {rollbacks} times; "
            "first samples of that batch: {samples}",
            "",
            "try a smaller --lr (a tenth), or --clip-norm 1; look at those samples; the last healthy checkpoint is kept",
        ),
        Lines(
            "训练发散：损失或梯度不是有限值，或远超正常范围",
            "100 步内跳过 {skipped} 次更新，最近在第 {step} 步，已回退 {rollbacks} 次；该批次的前几个样本：{samples}",
            "",
            "请尝试更小的 --lr（十分之一）或 --clip-norm 1；检查这些样本；最后一个健康的检查点已保留",
        ),
    ),
    "EY-T002": (
        Lines(
            "out of memory, and a step cannot be cut into smaller parts",
            "step {step}, a batch of {batch} in {parts} parts: {reason}",
            "",
            "take a smaller --size or --model, or close what else takes memory; then run the same command: it goes on from "
            "the last checkpoint",
        ),
        Lines(
            "内存不足，且无法将一步再拆成更小的部分",
            "第 {step} 步，批大小 {batch}，分为 {parts} 部分：{reason}",
            "",
            "请使用更小的 --size 或 --model，或关闭其他占用内存的程序；然后重新执行相同命令：将从最后一个检查点继续",
        ),
    ),
    # ---- P: stopped from outside ----------------------------------------------------------------------------------
    "EY-P001": (
        Lines(
            "stopped by Ctrl-C; the work is kept",
            "step {step} of {steps} in {path}",
            "",
            "the same command goes on from here",
        ),
        Lines("已被 Ctrl-C 中断；进度已保存", "{path}，第 {step} / {steps} 步", "", "重新执行相同命令即可继续"),
    ),
    "EY-P002": (
        Lines(
            "stopped by a signal from outside; the work is kept",
            "step {step} of {steps} in {path}",
            "",
            "the same command goes on from here",
        ),
        Lines("被外部信号停止；进度已保存", "{path}，第 {step} / {steps} 步", "", "重新执行相同命令即可继续"),
    ),
    "EY-P010": (
        Lines("stopped by Ctrl-C", "{command}", "", "run it again: what was finished is not done twice"),
        Lines("已被 Ctrl-C 中断", "{command}", "", "再次运行即可：已完成的部分不会重做"),
    ),
    "EY-P011": (
        Lines("stopped by a signal from outside", "{command}", "", "run it again: what was finished is not done twice"),
        Lines("已被外部信号停止", "{command}", "", "再次运行即可：已完成的部分不会重做"),
    ),
    # ---- I: internal ----------------------------------------------------------------------------------------------
    "EY-I001": (
        Lines("eyas itself failed; this is a bug", "{detail}", "", "please report it with the traceback in {path}"),
        Lines("eyas 自身出错，这是程序缺陷", "{detail}", "", "请附上 {path} 中的回溯信息报告此问题"),
    ),
}

#: key -> (English, Chinese): what is printed while things go well
PHRASES: dict[str, tuple[str, str]] = {
    "done": ("done", "完成"),
    # finding the data
    "convert_pickle": (
        "convert it once where you trust it: python -c \"import pickle,numpy as n;d=pickle.load(open('FILE','rb'),encoding='bytes');n.savez('out.npz',images=d[b'data'].reshape(-1,3,32,32).transpose(0,2,3,1),labels=d[b'labels'])\"",
        "请在可信环境中转换一次：python -c \"import pickle,numpy as n;d=pickle.load(open('FILE','rb'),encoding='bytes');n.savez('out.npz',images=d[b'data'].reshape(-1,3,32,32).transpose(0,2,3,1),labels=d[b'labels'])\"",
    ),
    "convert_torch": (
        "convert it once where you trust it: load it with torch.load(FILE, weights_only=True), then numpy.savez('out.npz', images=…, labels=…)",
        "请在可信环境中转换一次：用 torch.load(FILE, weights_only=True) 加载，再用 numpy.savez('out.npz', images=…, labels=…) 保存",
    ),
    "convert_npy": (
        "convert it once where you trust it: numpy.load(FILE, allow_pickle=True), then numpy.savez('out.npz', images=…, labels=…) with uint8 images",
        "请在可信环境中转换一次：numpy.load(FILE, allow_pickle=True)，再用 numpy.savez('out.npz', images=…, labels=…) 保存 uint8 图片",
    ),
    "layout_classes": ("class folders", "类别文件夹"),
    "layout_splits": ("split folders ({splits}) of class folders", "划分文件夹（{splits}），内含类别文件夹"),
    "layout_parent": ("labels from the folder of each image", "标签取自图片所在文件夹"),
    "layout_names": ("labels from file names by {pattern}", "标签由 {pattern} 从文件名取得"),
    "layout_table": ("labels in {kind} {name} ({columns})", "标签在 {kind} {name} 中（{columns}）"),
    "layout_idx": ("IDX files ({names})", "IDX 文件（{names}）"),
    "layout_npz": ("arrays in {name} ({arrays})", "{name} 中的数组（{arrays}）"),
    "layout_known": ("built-in set {name}", "内置数据集 {name}"),
    "layout_joined": ("{base}; {what}: {more}", "{base};{what}:{more}"),
    "note_of": ("{what}: {note}", "{what}:{note}"),
    "left_out_run": (
        "{n} folders with runs of eyas are left out ({examples})",
        "忽略 {n} 个 eyas 运行目录（{examples}）",
    ),
    "left_out_hidden": (
        "{n} hidden files or folders left out ({examples})",
        "忽略隐藏文件或文件夹 {n} 个（{examples}）",
    ),
    "left_out_not_image": (
        "{n} files without the suffix of an image left out ({examples})",
        "忽略非图片后缀的文件 {n} 个（{examples}）",
    ),
    "left_out_outside": (
        "{n} links that lead out of the folder left out ({examples})",
        "忽略指向文件夹之外的链接 {n} 个（{examples}）",
    ),
    "left_out_broken_link": (
        "{n} links that lead nowhere left out ({examples})",
        "忽略失效的链接 {n} 个（{examples}）",
    ),
    "left_out_loop": (
        "{n} links to folders that are read already left out ({examples})",
        "忽略指向已读文件夹的链接 {n} 个（{examples}）",
    ),
    "left_out_special": (
        "{n} entries that are not regular files left out ({examples})",
        "忽略非普通文件 {n} 个（{examples}）",
    ),
    "left_out_unreadable": (
        "{n} folders that cannot be read left out ({examples})",
        "忽略无法读取的文件夹 {n} 个（{examples}）",
    ),
    "left_out_encoding": (
        "{n} names that are not UTF-8 left out ({examples}); `convmv -f gb18030 -t utf8 -r --notest FOLDER` renames them",
        "忽略非 UTF-8 名称 {n} 个（{examples}）；可用 `convmv -f gb18030 -t utf8 -r --notest 文件夹` 改名",
    ),
    "left_out_unsafe": (
        "{n} files of the archive left out: their names are absolute, lead upwards or are no names ({examples})",
        "忽略压缩包中名称为绝对路径、指向上级或无效的文件 {n} 个（{examples}）",
    ),
    "left_out_no_label": (
        "{n} images without a label left out ({examples})",
        "忽略没有标签的图片 {n} 张（{examples}）",
    ),
    "left_out_second": (
        "{n} further images of a sample left out ({examples})",
        "忽略同一样本的其余图片 {n} 张（{examples}）",
    ),
    "archive_twice": (
        "{n} names are in the archive twice, the last counts ({examples})",
        "压缩包中有 {n} 个重复的名称，以最后一个为准（{examples}）",
    ),
    "archive_renamed": (
        "names of the archive read as {encoding}",
        "压缩包中的文件名按 {encoding} 读取",
    ),
    "archive_unpacked": ("{name} was unpacked once, into {path}", "{name} 已解压一次，存于 {path}"),
    "archives_joined": ("archives read as folders: {names}", "压缩包按文件夹读取：{names}"),
    "archive_bytes": ("{name} unpacked", "{name} 解压后"),
    "archive_all": ("everything in it unpacked", "全部内容解压后"),
    "archive_members": ("files in it", "文件数"),
    "archive_ratio": ("{name} is compressed", "{name} 的压缩比"),
    "archive_cut": ("it ends too early", "文件不完整"),
    "archive_header": ("the header at byte {at} is wrong", "第 {at} 字节处的头部有误"),
    "archive_kind": ("it is neither a zip nor a tar", "既不是 zip 也不是 tar"),
    "layout_archive": ("{layout}, in the archive {name}", "{layout}，位于压缩包 {name} 中"),
    "layout_shards": (
        "WebDataset shards ({n} tar files, labels from {labels})",
        "WebDataset 分片（{n} 个 tar 文件，标签取自 {labels}）",
    ),
    "layout_parquet": ("Parquet ({n} files, {image} and {label})", "Parquet（{n} 个文件，{image} 与 {label}）"),
    "parquet_other_labels": (
        "labels from {used}; other columns that could be meant: {others}",
        "标签取自 {used}；其他可能的列：{others}",
    ),
    "splits_from_folders": (
        "splits from the folders in the table's paths ({folders})",
        "划分取自表中路径的文件夹（{folders}）",
    ),
    "parquet_image": ("the image", "图片"),
    "parquet_label": ("the label", "标签"),
    "fifo": ("a pipe", "管道"),
    "device": ("a device or socket", "设备或套接字"),
    "went_into": ("everything is in one folder, {folder}: went into it", "所有内容都在 {folder} 中：已进入该文件夹"),
    "part_without_labels": (
        "{folder}: {n} images without class folders left out",
        "{folder}：{n} 张图片没有类别文件夹，已忽略",
    ),
    "folders_beside_splits": (
        "folders beside the splits ({splits}) left out: {folders}",
        "忽略划分（{splits}）之外的文件夹：{folders}",
    ),
    "splits_named_twice": (
        "two folders name the same split and were joined ({folders})",
        "有两个文件夹表示同一划分，已合并（{folders}）",
    ),
    "splits_read_as_classes": (
        "{folders} read as classes, since other class folders lie beside and no class folders within",
        "{folders} 按类别读取：旁边有其他类别文件夹，且其中没有类别文件夹",
    ),
    "loose_images": (
        "{n} images beside the class folders of {folder} left out ({examples})",
        "忽略 {folder} 中类别文件夹之外的图片 {n} 张（{examples}）",
    ),
    "deeper_folders": ("folders inside a class folder belong to that class", "类别文件夹内的子文件夹归属该类别"),
    "empty_classes": (
        "{n} folders without images are no classes ({examples})",
        "{n} 个文件夹没有图片，不作为类别（{examples}）",
    ),
    "classes_written_twice": (
        "two folders are called {name} in different Unicode forms and were joined",
        "有两个名为 {name} 的文件夹（Unicode 形式不同），已合并",
    ),
    "classes_differ_in_case": ("classes that differ in case only: {names}", "仅大小写不同的类别：{names}"),
    "classes_from_file": ("order of the {n} classes from {path}", "{n} 个类别的顺序取自 {path}"),
    "classes_without_images": (
        "{n} listed classes without images ({examples})",
        "{n} 个列出的类别没有图片（{examples}）",
    ),
    "names_without_label": (
        "{n} file names without a label left out ({examples})",
        "忽略不含标签的文件名 {n} 个（{examples}）",
    ),
    "label_from_unused": (
        "--label-from was not used: the data holds its labels",
        "未使用 --label-from：数据中已有标签",
    ),
    "table_encoding": ("{path} read as {encoding}", "{path} 按 {encoding} 读取"),
    "table_no_header": ("{path} has no header: columns told by what is in them", "{path} 没有表头：按内容判断各列"),
    "table_empty": ("no rows", "没有数据行"),
    "table_not_object": ("not a JSON object", "不是 JSON 对象"),
    "table_cells": ("{n} cells, {k} columns", "{n} 个单元格，{k} 列"),
    "table_base": ("paths in the table are relative to {folder}/", "表中路径相对于 {folder}/"),
    "table_near": ("did you mean {names}?", "是否为 {names}？"),
    "table_relative": ("put the images where the paths say, below {base}", "请把图片放到路径所指的位置（{base} 之下）"),
    "table_spelling": (
        "{n} paths matched in spite of another case or Unicode form",
        "{n} 个路径的大小写或 Unicode 形式不同，已匹配",
    ),
    "table_no_suffix": ("{n} names without suffix matched to image files", "{n} 个无后缀名称已匹配到图片文件"),
    "table_backslashes": ("{n} paths with backslashes read as /", "{n} 个路径中的反斜杠按 / 读取"),
    "table_outside": (
        "{n} links that lead out of the table's folder left out",
        "忽略指向表所在文件夹之外的链接 {n} 个",
    ),
    "table_beyond": ("{n} files lie outside the table's folder", "{n} 个文件位于表所在文件夹之外"),
    "tables_ignored": ("tables that do not list the images left out: {names}", "忽略未列出图片的表：{names}"),
    "line_of": ("line {line}: {name}", "第 {line} 行：{name}"),
    "rows_repeated": ("{n} rows repeated and counted once", "{n} 行重复，只计一次"),
    "numbers_are_classes": (
        "labels are numbers of the lines of {path}, from 0",
        "标签为 {path} 的行号，从 0 开始",
    ),
    "arrays_ignored": ("arrays that were not used: {names}", "未使用的数组：{names}"),
    "idx_magic": ("begins with {got} and not with 00 00", "开头为 {got}，而非 00 00"),
    "idx_kind": (
        "type {kind} with {n} dimensions; wanted 0x08 with {allowed}",
        "类型 {kind}，{n} 维；应为 0x08，{allowed} 维",
    ),
    "idx_short": ("{got} of {want} bytes", "只有 {got} 字节，应为 {want}"),
    "idx_long": ("more than the {want} bytes that its header says", "多于文件头所说的 {want} 字节"),
    "npz_pickled": ("{name} holds pickled objects", "{name} 含有 pickle 对象"),
    "npz_size": ("the size of {name} does not fit its shape {shape}", "{name} 的大小与形状 {shape} 不符"),
    "npz_transpose": (
        "channels come last: {name} = {name}.transpose(0, 2, 3, 1)",
        "通道应在最后：{name} = {name}.transpose(0, 2, 3, 1)",
    ),
    "npz_reshape": ("one image a row, with its height and width", "每行一张图片，并保留高与宽"),
    "npz_to_uint8": (
        "if the values are 0..1: {name} = ({name} * 255).round().astype('uint8')",
        "若取值为 0..1：{name} = ({name} * 255).round().astype('uint8')",
    ),
    "npz_to_int": ("{name} = {name}.astype('int64')", "{name} = {name}.astype('int64')"),
    "npz_argmax": (
        "if each row marks one class: {name} = {name}.argmax(1)",
        "若每行标记一个类别：{name} = {name}.argmax(1)",
    ),
    "only_declared": ("only the {n} images declared as {what} were taken", "只取声明为 {what} 的 {n} 张图片"),
    "known_at": ("{name} from {path}", "{name} 取自 {path}"),
    "known_shadows": (
        "{name} is the built-in set; the folder of that name is ./{name}",
        "{name} 为内置数据集；同名文件夹请写 ./{name}",
    ),
    "download_too_long": ("more than {n} bytes", "超过 {n} 字节"),
    "download_cut": ("cut off after {got} of {want} bytes", "在 {got}/{want} 字节处中断"),
    # splitting
    "split_how_none": ("no {name}", "无 {name}"),
    "split_how_fraction": (
        "{name}: {n} images, about {percent} %, by content",
        "{name}：{n} 张，约 {percent} %，按内容划分",
    ),
    "split_how_declared": ("{name}: {n} images, as the data says", "{name}：{n} 张，按数据声明"),
    "split_how_memory": ("{n} images stay where splits.csv has them", "{n} 张图片按 splits.csv 保持不变"),
    "split_val_trains": ("{n} images of val are trained on", "val 的 {n} 张图片用于训练"),
    "split_test_unused": ("{n} images of test are neither trained on nor scored", "test 的 {n} 张图片既不训练也不评分"),
    "split_unmeasured": ("{n} classes have no image in val ({names})", "{n} 个类别在 val 中没有图片（{names}）"),
    "split_duplicates": ("{n} images are exact copies of others", "{n} 张图片与其他图片完全相同"),
    "split_conflicts": (
        "{n} images occur with different labels (first: {names})",
        "{n} 张图片带有不同的标签（首个：{names}）",
    ),
    "split_leak": (
        "{n} images of {later} are in {earlier} as well ({names})",
        "{later} 中有 {n} 张图片也在 {earlier} 中（{names}）",
    ),
    "split_near": (
        "{n} images are nearly the same as others: such sets stay on one side unless the data says otherwise",
        "{n} 张图片与其他图片几乎相同：除非数据另有声明，每组都留在同一侧",
    ),
    "split_taken_apart": (
        "{n} chains of near-duplicates held more than {percent} % of the images each: only the closest ties are kept",
        "{n} 条近似图片链各自超过全部图片的 {percent} %：只保留最接近的联系",
    ),
    "split_near_leak": (
        "{n} images of {later} are nearly the same as some in {earlier} ({names})",
        "{later} 中有 {n} 张图片与 {earlier} 中的图片几乎相同（{names}）",
    ),
    "split_how_kept_out": ("{name}: {n} images, kept out as before", "{name}：{n} 张，照旧留出"),
    "split_how_taken_over": ("taken over from {path}", "沿用 {path}"),
    "split_optimistic": (
        "no test: the validation images also choose the weights, so their score is a little optimistic; "
        "--test 10% keeps a part for one honest look",
        "没有测试集：验证集也用于选择权重，其分数略偏乐观；--test 10% 可留出一部分供一次公正评分",
    ),
    "split_bridges": (
        "{n} sets of copies, near-duplicates or groups lie on both sides, as splits.csv has them",
        "{n} 组副本、近似图片或分组跨越两侧（按 splits.csv 保持）",
    ),
    "split_bridging": (
        "{n} new images join such sets, on the side that most of each is on ({names})",
        "{n} 张新图片加入这些组，归入各组多数所在的一侧（{names}）",
    ),
    "splits_columns": ("no column {names}", "缺少列 {names}"),
    "splits_short": ("too few cells", "单元格不足"),
    "splits_unknown": ("split {got}, not one of {allowed}", "划分 {got} 不在 {allowed} 中"),
    "splits_hash": ("{got} is not a hash", "{got} 不是哈希值"),
    "plan.you_said_so_over": (
        "you said so; more than the {n} cores that are free to us makes it slower, not faster",
        "由您指定；超过可用的 {n} 个核心只会更慢",
    ),
    "plan.you_said_so": ("you said so", "由您指定"),
    "plan.cuda": ("torch sees a CUDA device", "torch 检测到 CUDA 设备"),
    "plan.cpu": ("torch sees no accelerator", "torch 未检测到加速器"),
    "plan.contiguous": ("this net's own kernels keep the batch innermost", "此网络自带的算子以批为最内层维度"),
    "plan.channels_last": (
        "images arrive as N,H,W,C: no copy, and the kernels prefer it",
        "图片按 N,H,W,C 排列：无需复制，算子也更快",
    ),
    "plan.own_kernels": (
        "this net's own kernels for CPUs are fp32",
        "此网络自带的 CPU 算子为 fp32",
    ),
    "plan.tensor_cores": ("tensor cores; weights and statistics stay fp32", "使用张量核心；权重与统计量保持 fp32"),
    "plan.bf16": ("{what} on this CPU; weights and statistics stay fp32", "此 CPU 支持 {what}；权重与统计量保持 fp32"),
    "plan.no_bf16": (
        "this CPU has no bf16 arithmetic: emulating it is slower than fp32",
        "此 CPU 没有 bf16 运算：模拟比 fp32 更慢",
    ),
    "plan.threads": ("{n} cores are free to us (affinity and cgroup)", "可用 {n} 个核心（亲和性与 cgroup）"),
    "plan.parts": ("memory allows the whole batch at once", "内存足以一次处理整批"),
    "plan.workers": ("one packing process per free core", "每个可用核心一个打包进程"),
    "plan.images.streamed": ("nothing is packed: {why}", "未打包：{why}"),
    "plan.images.arrays": ("they came as pixels and stay in memory", "原本就是像素数据，保留在内存中"),
    "plan.images.memory": (
        "the pack takes {size} GB, memory has {free} GB free",
        "打包占 {size} GB，内存空闲 {free} GB",
    ),
    "plan.images.mapped": (
        "the pack takes {size} GB of {free} GB of free memory: mapped, the system keeps what is used",
        "打包占 {size} GB，空闲内存 {free} GB：内存映射，由系统保留常用部分",
    ),
    "plan.images.disk": (
        "the pack takes {size} GB, more than the {free} GB of free memory: each batch is asked of the disk at once",
        "打包占 {size} GB，超过空闲内存 {free} GB：每批一次性向磁盘读取",
    ),
    "plan.feeding.streamed": (
        "every image is decoded when it is needed, on all cores",
        "每张图片使用时才解码，用上全部核心",
    ),
    "plan.feeding.device": (
        "the device computes while the processor makes the next batches",
        "设备计算时由处理器准备后续批次",
    ),
    "pack.asked": ("you said --no-pack", "您指定了 --no-pack"),
    "plan.ahead": (
        "images are resampled one by one: a thread makes the next batch meanwhile",
        "图片逐张重采样：由线程提前准备下一批",
    ),
    "plan.inline": (
        "making a batch of small images costs less than handing it to a thread",
        "小图片直接组批比交给线程更省时",
    ),
    "run.data": ("{layout}: {n} images, {classes} classes; {how}", "{layout}：{n} 张图片，{classes} 个类别；{how}"),
    "run.aside": (
        "{count} unreadable images are set aside ({codes}), the first: {first}; all are in the report",
        "{count} 张无法读取的图片已剔除（{codes}），第一张：{first}；全部列在报告中",
    ),
    "cli.train.looks": (
        "      test was scored {looks} times over this run's life: the number is a little optimistic",
        "      此运行的测试集已评分 {looks} 次：该数字略偏乐观",
    ),
    "run.batch_cut": (
        "--batch-size {said} is more than the training images: batches hold {n}",
        "--batch-size {said} 超过训练图片数：每批 {n} 张",
    ),
    "run.differs": (
        "{path} is unfinished but differs ({difference}): a new run is started",
        "{path} 未完成但有差异（{difference}）：新建运行",
    ),
    "run.no_font": (
        "no font here has the characters of the class names: in pictures they are numbered, with a list beside them; "
        "install one, such as fonts-noto-cjk",
        "本机没有能显示类别名称的字体：图中以编号代替，旁附对照表；可安装字体，例如 fonts-noto-cjk",
    ),
    "run.chosen_damaged": (
        "the copy of the chosen weights in {path} is damaged ({why}); they are taken from the checkpoint of their step",
        "{path} 中选定权重的副本已损坏（{why}），改用其所在步的检查点",
    ),
    "run.until_missed": (
        "--until {until} was not reached: the best on val was {best}",
        "未达到 --until {until}：验证集最佳为 {best}",
    ),
    "cli.resumes_itself": ("the same command goes on with its run by itself", "相同的命令会自动继续其运行"),
    "run.extended": (
        "extended from {before} to {now} steps: the schedule goes on for the new length, so this is not the run that "
        "would have had it from the start",
        "由 {before} 步延长到 {now} 步：学习率曲线按新长度继续，因此与一开始就取此长度的运行不同",
    ),
    "run.unreadable": ("{path} cannot be understood; that run is passed over", "无法读取 {path}，已跳过该运行"),
    "run.other_images": ("the images are not the same", "图片不同"),
    "run.resumed.bitwise": (
        "resumed at step {step} (epoch {epoch}); promise: bitwise, as if it had not been interrupted",
        "从第 {step} 步（第 {epoch} 轮）继续；承诺：逐位一致，如同未曾中断",
    ),
    "run.resumed.state-exact": (
        "resumed at step {step} (epoch {epoch}); promise: state-exact (same data and state; rounding may differ because of:)",
        "从第 {step} 步（第 {epoch} 轮）继续；承诺：状态一致（数据与状态相同；以下变化可能影响舍入：）",
    ),
    "run.finished_before": (
        "{path} is finished; its result follows (--fresh without --out starts a new run)",
        "{path} 已完成，以下是其结果（不带 --out 的 --fresh 可新建运行）",
    ),
    "run.damaged": ("checkpoint {name} is damaged and was passed over: {why}", "检查点 {name} 已损坏，跳过：{why}"),
    # the command line
    "cli.options": ("OPTIONS", "选项"),
    "cli.arguments": ("arguments", "参数"),
    "cli.examples": ("examples", "示例"),
    "cli.eyas": (
        "From a folder of images to a fast image classifier you can trust, on the hardware that is here.",
        "从一个图片文件夹到又快又可信的图像分类器，就用手边的硬件。",
    ),
    "cli.heading.start": ("start here", "从这里开始"),
    "cli.heading.use": ("use what was trained", "使用训练结果"),
    "cli.check.run": (
        "a run: its answers are held against the labels (L05), its split is searched for leaks",
        "一次运行：用其预测核对标签（L05），并在其划分中查找泄漏",
    ),
    "cli.check.jsonl": (
        "one JSON document per line and finding: path, code, message",
        "逐条输出，每行一个 JSON 文档：path、code、message",
    ),
    "cli.check.html": ("write a page with pictures of the examples", "写出带示例图片的页面"),
    "cli.check.fix_list": (
        "write a CSV of what would mend it: path, code, action (remove, relabel, convert, keep)",
        "写出修复清单 CSV：path、code、action（remove 删除、relabel 改标签、convert 转换格式、keep 保留）",
    ),
    "cli.check.codes": (
        "codes\n"
        "  E01-E09  cannot be used: zero bytes, no image, truncated, decoder error, decoder crashed, over budget,\n"
        "           format not allowed, unreadable, no label\n"
        "  L01-L05  duplicates, contradicting labels, exact and near leaks between splits, likely label errors\n"
        "  C01-C05  class of one, tiny validation, imbalance, class missing from train, colliding or hidden names\n"
        "  W01-W10  suffix, EXIF applied, 16-bit, float, CMYK or ICC, alpha, animated, tiny or long, trailing\n"
        "           bytes, constant\n"
        "nothing is changed; exit code 1 when there is an E or an L, or when `eyas train` would refuse",
        "代码\n"
        "  E01-E09  无法使用：零字节、不是图片、截断、解码错误、解码崩溃、超出限额、格式不允许、无法读取、无标签\n"
        "  L01-L05  重复、标签矛盾、划分之间的完全与近似泄漏、疑似标签错误\n"
        "  C01-C05  仅一张的类别、验证集过小、不均衡、训练集缺少的类别、名称冲突或隐藏\n"
        "  W01-W10  后缀、已应用 EXIF、16 位、浮点、CMYK 或 ICC、透明、动画、过小或过长、尾部多余字节、单色\n"
        "不修改任何文件；存在 E 或 L，或 `eyas train` 会拒绝时，退出码为 1",
    ),
    "cli.heading.look": ("look", "查看"),
    "cli.heading.here": ("this machine", "本机"),
    "cli.verb.demo": (
        "train on images that come with eyas, score, write a report: half a minute",
        "用自带图片训练、评分并生成报告：约半分钟",
    ),
    "cli.verb.train": (
        "train a classifier on a folder of images; the same command again goes on where it stopped",
        "用图片文件夹训练分类器；中断后重复同一命令即可继续",
    ),
    "cli.verb.check": (
        "what is wrong with these images: every one is decoded, none is changed",
        "检查图片：逐张解码，不修改任何文件",
    ),
    "cli.verb.evaluate": ("how good a run is, with its interval", "给出一次运行的成绩及置信区间"),
    "cli.verb.predict": ("what is on these pictures", "识别这些图片"),
    "cli.verb.show": (
        "a picture of the training images as the net sees them, augmented",
        "把网络看到的（增强后的）训练图片拼成一张图",
    ),
    "cli.verb.report": ("write the report of a run again", "重新生成一次运行的报告"),
    "cli.verb.runs": ("what was trained here", "列出此处的全部运行"),
    "cli.verb.models": ("the nets that can be trained", "列出可训练的网络"),
    "cli.verb.doctor": ("what is here, what is missing, what to do about it", "检查环境：有什么、缺什么、怎么办"),
    "cli.verb.cache": ("the packed images on this machine: list, clear, verify", "本机的打包图片：列出、清除、校验"),
    "cli.cache.action": ("list (the default), clear or verify", "list（默认）、clear 或 verify"),
    "cli.cache.address": ("the beginning of a pack's id: only this one", "打包编号的开头：只处理这一个"),
    "cli.cache.older": (
        "only packs not used for so long, like 12h, 30d, 2w",
        "只处理这么久未使用的打包，如 12h、30d、2w",
    ),
    "cli.cache.empty": ("no packs in {path}", "{path} 中没有打包"),
    "cli.cache.id": ("id", "编号"),
    "cli.cache.images": ("images", "图片"),
    "cli.cache.pixels": ("pixels", "像素"),
    "cli.cache.size": ("size", "大小"),
    "cli.cache.used": ("last used", "上次使用"),
    "cli.cache.state": ("state", "状态"),
    "cli.cache.source": ("from", "来源"),
    "cli.cache.idle": ("idle", "空闲"),
    "cli.cache.busy": ("in use", "使用中"),
    "cli.cache.building": ("being built", "构建中"),
    "cli.cache.unfinished": ("unfinished", "未完成"),
    "cli.cache.total": ("{size} of at most {limit} in {path}", "{path} 共 {size}，上限 {limit}"),
    "cli.cache.cleared": ("{n} removed, {size} freed", "已删除 {n} 个，释放 {size}"),
    "cli.cache.kept": ("{n} kept: in use or being built", "保留 {n} 个：使用中或构建中"),
    "cli.cache.verified": ("{n} packs are as they were written", "{n} 个打包完好"),
    "cli.cache.damaged": (
        "{address} was damaged and is removed: the next run makes it anew",
        "{address} 已损坏并被删除：下次运行会重新生成",
    ),
    "cli.cache.damaged_kept": (
        "{address} is damaged but in use: verify again when the run is done",
        "{address} 已损坏但正在使用：请在运行结束后再次校验",
    ),
    "cli.verb.config": ("every setting in force and where it came from", "显示当前生效的设置及其来源"),
    "cli.verb.version": ("the versions of all that takes part", "显示各组件版本"),
    "cli.more_verb": ("eyas VERB --help tells more about one of them", "eyas 命令 --help 查看某个命令的详情"),
    "cli.more_options": ("{n} more options: eyas {verb} --help-all", "另有 {n} 个选项：eyas {verb} --help-all"),
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
    "cli.option.lang": ("language of messages (or EYAS_LANG)", "消息语言（或 EYAS_LANG）"),
    "cli.option.verbose": ("say more: what was set where, causes of errors", "输出更多：设置来源、错误起因"),
    "cli.option.help": ("this help", "显示此帮助"),
    "cli.option.help_all": ("help with all options", "显示全部选项"),
    "cli.option.version": ("the version", "显示版本"),
    "cli.option.config": (
        "settings from this TOML file, like the config.toml of a run",
        "从此 TOML 文件读取设置，例如某次运行的 config.toml",
    ),
    "cli.gave_way": ("gave way: {note}", "已被取代：{note}"),
    "cli.report": ("report  {path}", "报告  {path}"),
    "report_no_images": ("the report has no pictures: {reason}", "报告中没有图片：{reason}"),
    "report_other_images": (
        "the report has no pictures: {data} is no longer what the run was trained on",
        "报告中没有图片：{data} 已与训练时不同",
    ),
    "cli.run": ("a run: its folder, runs/latest, or its number", "一次运行：目录、runs/latest 或编号"),
    "cli.train.data": (
        "a folder of images, an archive, a label file, shards, Parquet, IDX files, an .npz, or fashion-sample",
        "图片文件夹、压缩包、标签文件、分片、Parquet、IDX 文件、.npz 或 fashion-sample",
    ),
    "cli.train.run": ("run     {run}", "运行  {run}"),
    "cli.train.layouts": (
        "layouts that are recognised\n"
        "  photos/CLASS/*.jpg                  a folder per class\n"
        "  photos/train|val|test/CLASS/*.jpg   a folder per split (also 训练集, 验证集, 测试集)\n"
        "  labels.csv                          columns for path and label (TSV, JSONL too)\n"
        "  photos/train/metadata.csv           a table in the folder of each split, as Hugging Face has it\n"
        "  photos/cat_12.jpg                   labels in file names, with --label-from\n"
        "  photos.zip, photos.tar[.gz]         any of these in an archive, read in place\n"
        "  shards-{{000..009}}.tar               WebDataset: key.jpg beside key.cls, key.txt or key.json\n"
        "  train-*.parquet                     image bytes and labels, as Hugging Face writes them\n"
        "  *-images-idx3-ubyte[.gz]            IDX, as MNIST has it\n"
        "  arrays.npz                          x_train, y_train, ...\n"
        "  fashion-sample, fashion-mnist       built in",
        "支持的数据布局\n"
        "  photos/类别/*.jpg                   每类一个文件夹\n"
        "  photos/训练集|验证集|测试集/类别/   每个划分一个文件夹（train、val、test 亦可）\n"
        "  labels.csv                          含路径与标签列（TSV、JSONL 亦可）\n"
        "  photos/train/metadata.csv           每个划分的文件夹中有一个表（Hugging Face 格式）\n"
        "  photos/cat_12.jpg                   标签在文件名中，配合 --label-from\n"
        "  photos.zip、photos.tar[.gz]         以上任一布局的压缩包，直接读取\n"
        "  shards-{{000..009}}.tar               WebDataset：key.jpg 旁有 key.cls、key.txt 或 key.json\n"
        "  train-*.parquet                     图片字节与标签（Hugging Face 格式）\n"
        "  *-images-idx3-ubyte[.gz]            IDX，即 MNIST 格式\n"
        "  arrays.npz                          x_train、y_train……\n"
        "  fashion-sample、fashion-mnist       内置",
    ),
    "cli.config.action": ("show", "show"),
    "cli.predict.files": (
        "images, folders of images, or - for a list of paths on stdin",
        "图片、图片文件夹，或 -（从标准输入读取路径列表）",
    ),
    "cli.predict.top": ("the N likeliest classes of each", "每张给出最可能的 N 个类别"),
    "cli.predict.jsonl": ("one JSON document per line and image, as they come", "逐张输出，每行一个 JSON 文档"),
    "cli.show.to": ("the picture to write (default: eyas-show.png)", "要写入的图片（默认 eyas-show.png）"),
    "cli.show.count": ("how many images (default: 40)", "图片数量（默认 40）"),
    "cli.show.done": ("written: {path}", "已写入：{path}"),
    "cli.runs.root": ("the folder of the runs (default: runs)", "运行所在文件夹（默认 runs）"),
    "cli.runs.none": ("no runs in {root}", "{root} 中没有运行"),
    "cli.runs.run": ("run", "运行"),
    "cli.runs.state": ("state", "状态"),
    "cli.runs.began": ("began", "开始时间"),
    "cli.runs.val": ("val", "验证"),
    "cli.runs.test": ("test", "测试"),
    "cli.models.name": ("name", "名称"),
    "cli.models.weights": ("weights for {n} classes", "参数量（{n} 类）"),
    "cli.evaluate.data": (
        "other images to score it on (default: the run's own)",
        "用于评分的其他图片（默认：该运行自己的数据）",
    ),
    "cli.evaluate.split": (
        "which part (default: test when there is one, else val)",
        "评哪一部分（默认：有测试集则为测试集，否则验证集）",
    ),
    "cli.evaluate.looks": (
        "  looked at {n} times now: each look makes the number a little less trustworthy",
        "  已查看 {n} 次：每多看一次，这个数字就少一分可信",
    ),
    "cli.evaluate.accuracy": ("accuracy", "准确率"),
    "cli.evaluate.top5": ("among the 5 likeliest", "前五命中"),
    "cli.evaluate.loss": ("loss", "损失"),
    "cli.evaluate.ece": ("calibration error", "校准误差"),
    "cli.evaluate.worst": ("recognised least often", "最常认错的类别"),
    "cli.demo.done": (
        "\nreport  {report}  (open it in a browser)\nnext    eyas train FOLDER   and   eyas predict {run} PHOTO",
        "\n报告  {report}  （用浏览器打开）\n下一步  eyas train 文件夹   以及   eyas predict {run} 图片",
    ),
    "cli.doctor.importing": (
        "importing torch to see whether it works (some seconds)...",
        "正在导入 torch 以检查其是否可用（需几秒）……",
    ),
    "cli.doctor.python": ("Python 3.11 or newer is needed", "需要 Python 3.11 或更高版本"),
    "cli.doctor.system": ("only Linux is tested", "仅在 Linux 上测试过"),
    "cli.doctor.isa": ("without AVX2 everything is slow", "没有 AVX2，一切都会很慢"),
    "cli.doctor.cores_value": ("{cores} free to use of {all}, load {load}", "可用 {cores} / 共 {all}，负载 {load}"),
    "cli.doctor.busy": ("the machine is busy: training will be slower than it could be", "机器繁忙：训练会比应有的慢"),
    "cli.doctor.free_of": ("{free} free of {total}", "可用 {free} / 共 {total}"),
    "cli.doctor.memory": (
        "little memory is free: close other programs, or use a smaller --size and --batch-size",
        "可用内存很少：请关闭其他程序，或减小 --size 与 --batch-size",
    ),
    "cli.doctor.disk_value": ("{path}  {free} free", "{path}  可用 {free}"),
    "cli.doctor.read_only": ("nothing can be written here: change to another folder", "此处不可写：请换一个文件夹"),
    "cli.doctor.cache": (
        "the cache cannot be written: set EYAS_CACHE to a folder that can",
        "缓存不可写：请将 EYAS_CACHE 设为可写的文件夹",
    ),
    "cli.doctor.disk": ("less than 1 GiB is free", "可用空间不足 1 GiB"),
    "cli.doctor.torch": (
        "torch is installed and does not import: install the build for this system again",
        "torch 已安装但无法导入：请重新安装适合本系统的版本",
    ),
    "cli.doctor.onednn": (
        "this build of torch has no oneDNN: training will be slow",
        "此 torch 版本不含 oneDNN：训练会很慢",
    ),
    "cli.doctor.codecs": (
        "Pillow was built without {missing}: pip install --force-reinstall pillow",
        "Pillow 缺少 {missing}：pip install --force-reinstall pillow",
    ),
    "cli.doctor.font": (
        "Chinese class names would show as boxes in plots: install a font like fonts-noto-cjk",
        "图中的中文类别名会显示为方框：请安装字体，如 fonts-noto-cjk",
    ),
    "cli.doctor.ready": ("ready to train", "可以开始训练"),
    "cli.doctor.not_ready": ("not ready to train: see the lines above", "尚不能训练：请看上面各行"),
    # the console while it runs
    "console.raw": ("not averaged", "未平均"),
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
    "console.phase_done": ("{phase} {total} done in {took}", "{phase} {total}，完成，用时 {took}"),
    "console.phase.scan": ("looking through files", "扫描文件"),
    "console.phase.pack": ("decoding images", "解码图片"),
    "console.phase.examine": ("decoding to check", "解码检查"),
    "console.phase.near": ("comparing", "比对相似图片"),
    "console.phase.plan": ("planning", "制定方案"),
    "console.phase.train": ("training", "训练"),
    "console.phase.evaluate": ("scoring images", "评分图片"),
    "console.phase.save": ("saving", "保存"),
    "console.phase.wait": ("waiting", "等待"),
    "console.phase.report": ("writing the report", "生成报告"),
    "console.test": (
        "test accuracy {accuracy} %  (95 % interval {lo} – {hi}, {n} images)",
        "测试集准确率 {accuracy} %（95 % 置信区间 {lo} – {hi}，{n} 张）",
    ),
    "console.not_saved": (
        "a checkpoint could not be written ({reason}); the older one is kept",
        "检查点写入失败（{reason}）；保留较早的检查点",
    ),
    "console.decided": ("{name} = {value}: {reason}", "{name} = {value}:{reason}"),
    "console.recovered": ("{what}: {detail}", "{what}:{detail}"),
    "console.recovered.out-of-memory": ("out of memory, put right", "内存不足，已处理"),
    "console.recovered.not-finite": ("loss or gradient not finite, step skipped", "损失或梯度非有限值，已跳过该步"),
    "console.recovered.rolled-back": ("went back past bad steps", "已回退到异常步骤之前"),
    "console.recovered.spike": ("loss spike, step skipped", "损失突增，已跳过该步"),
    "console.recovered.roll-back": ("went back to a healthy checkpoint", "已回退到健康的检查点"),
    "console.skipped": ("{n} steps were not applied in this epoch", "本轮有 {n} 步未被采用"),
    "console.stopped": ("stopped: {reason}", "已停止：{reason}"),
    "console.stopped.patience": ("no better validation score for the epochs allowed", "验证分数在限定轮数内没有提高"),
    "console.stopped.until": ("the accuracy asked for is reached", "已达到要求的准确率"),
    "console.stopped.time": ("the time is used up", "时间预算已用完"),
    "console.stopped.sigterm": ("asked to leave; the work is kept", "收到终止信号；进度已保存"),
    "console.stopped.sigint": ("interrupted; the work is kept", "已中断；进度已保存"),
    "console.stopped.asked": ("as asked", "按要求停止"),
    # the report
    "report.images": ("{n} images", "{n} 张图片"),
    "report.classes": ("{n} classes", "{n} 个类别"),
    "report.split": ("part", "部分"),
    "report.split.train": ("training", "训练集"),
    "report.split.val": ("validation", "验证集"),
    "report.split.test": ("test", "测试集"),
    "report.accuracy_on": ("Accuracy on the {split} images", "{split}准确率"),
    "report.out_of": (
        "Of {of} new pictures like these, about {low} to {high} would be right.",
        "每 {of} 张同类新图片，大约有 {low} 到 {high} 张判断正确。",
    ),
    "report.out_of_one": (
        "Of {of} new pictures like these, about {low} would be right.",
        "每 {of} 张同类新图片，大约有 {low} 张判断正确。",
    ),
    "report.interval": (
        "95 % interval {lo} to {hi} (Wilson), from {n} images.",
        "95 % 置信区间 {lo} 至 {hi}（Wilson），共 {n} 张图片。",
    ),
    "report.honest_test": (
        "The test images decided nothing: they were scored once, after the weights were chosen.",
        "测试集没有参与任何选择：权重选定之后只评分一次。",
    ),
    "report.looked": (
        "The test images have now been looked at {n} times; each look makes the number a little less trustworthy.",
        "测试集已被查看 {n} 次；每多看一次，这个数字就少一分可信。",
    ),
    "report.val_beside": ("Validation, which chose the weights: {accuracy}.", "用于选择权重的验证集：{accuracy}。"),
    "report.optimistic": (
        "This is a little optimistic: the same validation images also chose which weights to keep. "
        "Images that no decision has seen (a test part) would give the honest number.",
        "这个数字略偏乐观：保留哪一份权重也是由同一批验证图片决定的。"
        "要得到真实的数字，需要一批没有参与任何选择的图片（测试集）。",
    ),
    "report.not_scored": ("Not scored", "未评分"),
    "report.not_scored_why": (
        "There are no validation and no test images in this run, or it has not come to an end, "
        "so nothing can be said about how good it is.",
        "此运行没有验证集和测试集，或尚未结束，因此无法说明效果如何。",
    ),
    "report.status.running": (
        "This run has not ended: it is still going on, or it was killed. The same command goes on with it.",
        "此运行尚未结束：仍在进行，或已被终止。用同一条命令即可继续。",
    ),
    "report.status.interrupted": (
        "This run was interrupted. The work is kept; the same command goes on with it.",
        "此运行被中断。进度已保存，用同一条命令即可继续。",
    ),
    "report.status.preempted": (
        "This run was stopped from outside. The work is kept; the same command goes on with it.",
        "此运行被外部停止。进度已保存，用同一条命令即可继续。",
    ),
    "report.status.failed": ("This run ended with an error; see log.txt.", "此运行因错误结束，详见 log.txt。"),
    "report.status.diverged": (
        "Training diverged: the loss was no longer a number. A lower --lr is the first thing to try.",
        "训练发散：损失已不是有效数值。请先尝试更小的 --lr。",
    ),
    "report.balanced": ("balanced accuracy", "平衡准确率"),
    "report.macro_f1": ("macro F1", "宏平均 F1"),
    "report.top5": ("among the top 5", "前 5 命中率"),
    "report.loss": ("loss", "损失"),
    "report.ece": ("calibration error", "校准误差"),
    "report.epoch": ("epoch", "轮"),
    "report.epochs": ("epochs", "轮数"),
    "report.duration": ("time", "用时"),
    "report.rate": ("images / s", "张 / 秒"),
    "report.augment_tax": ("augmentation", "数据增强占比"),
    "report.tax": ("loader tax", "数据加载占比"),
    "report.curves": ("How it went", "训练过程"),
    "report.curves_lead": (
        "By epoch. The band is the 95 % interval of the accuracy.",
        "横轴为轮次。色带为准确率的 95 % 置信区间。",
    ),
    "report.train": ("training", "训练"),
    "report.val": ("validation", "验证"),
    "report.accuracy": ("accuracy", "准确率"),
    "report.lr": ("learning rate", "学习率"),
    "report.interval95": ("95 % interval", "95 % 区间"),
    "report.grid": ("What it says", "预测示例"),
    "report.grid_lead": (
        "An even walk through the images, nothing hand-picked: actual/predicted and how sure it is.",
        "等距抽取的图片，未经挑选：实际/预测，以及置信度。",
    ),
    "report.blue": ("blue: right", "蓝色：正确"),
    "report.red": ("red: wrong", "红色：错误"),
    "report.worst": ("Worst mistakes", "最严重的错误"),
    "report.worst_lead": (
        "The wrong answers that cost most: actual/predicted. Sometimes it is the label that is wrong.",
        "代价最大的错误：实际/预测。有时错的是标签。",
    ),
    "report.file_names": ("file names", "文件名"),
    "report.file": ("file", "文件"),
    "report.label": ("label", "标签"),
    "report.predicted": ("predicted", "预测"),
    "report.probability": ("how sure", "置信度"),
    "report.per_class": ("Class by class", "各类别表现"),
    "report.per_class_lead": (
        "The weakest first. A wide bar means few images: the number may be luck.",
        "从最弱的开始。区间越宽说明图片越少，数字可能只是运气。",
    ),
    "report.class": ("class", "类别"),
    "report.found": ("found", "召回率"),
    "report.precision": ("precision", "精确率"),
    "report.support": ("images", "图片数"),
    "check.facts": (
        "{layout}: {images} images ({usable} usable), {classes} classes",
        "{layout}：{images} 张图片（{usable} 张可用），{classes} 个类别",
    ),
    "check.more": ("… and {n} more", "……另有 {n} 个"),
    "check.ok": ("nothing stands in the way of training", "没有妨碍训练的问题"),
    "check.not_ok": ("there is something to mend (E or L), or to decide", "存在需要修复（E 或 L）或决定的问题"),
    "check.footer": (
        "Made by eyas check, without a network. No file was changed.",
        "由 eyas check 生成，未使用网络，未修改任何文件。",
    ),
    "finding.E01": ("zero bytes", "零字节"),
    "finding.E02": ("not an image", "不是图片"),
    "finding.E03": ("truncated: pixels are missing", "截断：缺少像素"),
    "finding.E04": ("the decoder cannot read it", "解码器无法读取"),
    "finding.E05": ("the decoder crashed or took too long", "解码器崩溃或超时"),
    "finding.E06": ("over the budget of bytes, pixels or scans", "超出字节、像素或扫描次数的限额"),
    "finding.E07": ("an image of a format that is not allowed", "图片格式不在允许范围内"),
    "finding.E08": ("the file cannot be read", "文件无法读取"),
    "finding.E09": ("there is no label for it", "没有对应的标签"),
    "finding.W01": ("the suffix is that of another format", "后缀与实际格式不符"),
    "finding.W02": ("turned as its EXIF says", "已按 EXIF 旋转"),
    "finding.W03": ("16 bits, scaled to 8", "16 位，已缩放为 8 位"),
    "finding.W04": ("floating point, taken as 0..1", "浮点像素，按 0..1 处理"),
    "finding.W05": ("CMYK or an ICC profile, converted to sRGB", "CMYK 或 ICC 配置，已转换为 sRGB"),
    "finding.W06": ("transparency, put on white", "含透明度，已合成到白底"),
    "finding.W07": ("an animation: its first frame counts", "动画：只取第一帧"),
    "finding.W08": ("tiny, or far longer than wide", "尺寸过小，或长宽比极端"),
    "finding.W09": ("bytes after the end of the picture", "图片结束后还有多余字节"),
    "finding.W10": ("one colour and nothing else", "整张只有一种颜色"),
    "finding.L01": ("the same bytes again, in the same class", "同一类别中字节完全相同的重复图片"),
    "finding.L02": ("the same bytes with different labels", "字节相同但标签不同"),
    "finding.L03": ("the same bytes in two splits", "同一图片出现在两个划分中"),
    "finding.L04": ("nearly the same picture in two splits", "近似相同的图片出现在两个划分中"),
    "finding.L05": ("the run contradicts the label with confidence", "运行结果以高置信度否定其标签"),
    "finding.C01": ("a class with a single image", "只有一张图片的类别"),
    "finding.C02": ("too few images of a class to validate on", "类别的验证图片过少"),
    "finding.C03": ("a class far smaller than the largest", "类别远小于最大的类别"),
    "finding.C04": ("a class that train lacks", "训练集中没有的类别"),
    "finding.C05": ("names that collide elsewhere, or are hidden", "名称在其他系统上冲突，或为隐藏文件"),
    "report.trained_on": ("trained on", "训练图片数"),
    "report.confusion": ("What is taken for what", "混淆矩阵"),
    "report.confusion_lead": (
        "Rows are labels, columns are answers; the diagonal is right, red is wrong.",
        "行为标签，列为预测；对角线为正确，红色为错误。",
    ),
    "report.confusion_some": (
        "Shown are the {shown} of {all} classes with the most mistakes.",
        "仅显示 {all} 个类别中错误最多的 {shown} 个。",
    ),
    "report.pairs": ("Most confused", "最易混淆"),
    "report.taken_for": ("taken for", "被认作"),
    "report.times": ("times", "次数"),
    "report.time": ("Where the time went", "时间去向"),
    "report.time_rate": ("{rate} training images a second.", "每秒训练 {rate} 张图片。"),
    "report.time_tax": (
        "Waiting for batches and gathering their images took {tax} of the training time.",
        "等待批次与收集图片占训练时间的 {tax}。",
    ),
    "report.time_augment": (
        "Augmentation, which was asked for, took {tax} beside it.",
        "此外，所要求的数据增强占 {tax}。",
    ),
    "report.advice.none": ("There is nothing to gain there.", "这方面已没有可优化之处。"),
    "report.advice.pack": (
        "Every image was decoded anew in every epoch: leave out --no-pack, or give the cache more room (--cache-limit).",
        "每轮都重新解码了每张图片：请去掉 --no-pack，或给缓存更多空间（--cache-limit）。",
    ),
    "report.advice.threads": (
        "Batches came too late: try --loader-threads with one more than the plan has, or fewer compute --threads.",
        "批次供应不及：请试着把 --loader-threads 比方案中的值加一，或减少计算线程 --threads。",
    ),
    "report.advice.augment": (
        "Batches came too late because of augmentation: use less of it, or more --loader-threads.",
        "因数据增强较重，批次供应不及：请减少增强，或增大 --loader-threads。",
    ),
    "report.advice.disk": (
        "The images came slowly from the disk: more memory, a faster disk for EYAS_CACHE, or a smaller --size would help.",
        "从磁盘读取图片较慢：增加内存、将 EYAS_CACHE 放到更快的磁盘，或减小 --size 会有帮助。",
    ),
    "report.stage.scan": ("looking through files", "扫描文件"),
    "report.stage.pack": ("decoding images once", "一次性解码图片"),
    "report.stage.plan": ("planning", "制定方案"),
    "report.stage.train": ("training", "训练"),
    "report.stage.evaluate": ("scoring", "评分"),
    "report.stage.save": ("saving checkpoints", "保存检查点"),
    "report.stage.wait": ("waiting for data", "等待数据"),
    "report.stage.report": ("writing the report", "生成报告"),
    "report.stage.other": ("everything else", "其他"),
    "report.plan": ("What was decided for this machine, and why", "针对本机的选择及理由"),
    "report.plan_lead": (
        "Nobody was asked; a flag overrides each of them.",
        "无需用户作答；每一项都可用命令行选项覆盖。",
    ),
    "report.data": ("The data", "数据"),
    "report.smallest": ("smallest class", "最小类别"),
    "report.largest": ("largest class", "最大类别"),
    "report.findings": ("Left out or noticed", "剔除或注意到的问题"),
    "report.no_findings": ("Nothing: every file could be used.", "无：所有文件均可使用。"),
    "report.code": ("code", "代码"),
    "report.examples": ("examples", "示例"),
    "report.happened": ("What happened on the way", "途中发生的事"),
    "report.step": ("step {n}", "第 {n} 步"),
    "report.resumed": ("went on after a stop", "中断后继续"),
    "report.again": ("How to get it again", "如何复现"),
    "report.again_lead": (
        "The same command on the same data, versions and machine gives the same weights.",
        "相同的命令、数据、版本与机器会得到相同的权重。",
    ),
    "report.seed": ("seed", "随机种子"),
    "report.chosen": ("chosen weights", "选用的权重"),
    "report.chosen_is": ("step {step} ({weights})", "第 {step} 步（{weights}）"),
    "report.machine": ("machine", "机器"),
    "report.versions": ("Versions", "版本"),
    "report.recipe": ("Recipe", "方案"),
    "report.preprocess": ("Preprocessing", "预处理"),
    "report.footer": (
        "Made by eyas from the files of this run, without a network.",
        "由 eyas 根据此运行的文件生成，未使用网络。",
    ),
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
    safe = {k: one_line(str(v)) for k, v in values.items()}
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


def one_line(text: str) -> str:
    """`printable`, without line feeds: a name with one in it must not begin a line of its own.

    >>> one_line("a" + chr(10) + "b")
    'a\\\\nb'
    """
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """`text` without control characters: a file name may hold terminal escapes, and nobody wants to run them."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
