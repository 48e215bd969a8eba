"""The Fashion net computed the fast way on a CPU: forward and backward by hand, half the time of the plain modules.

Parameters, buffers and results are those of `models.fashion.FashionCNN`; only the way of computing differs:

- The batch is the innermost dimension: every product and every element-wise pass runs over long contiguous rows.
- A convolution unfolds kernel *columns* only; the kernel rows come for free as an overlapping view of the unfolded
  rows, so one batched product does the rest (no 25-fold im2col).
- conv1 yields the four phases of its pooling window as four groups of output channels; pooling is then two `maximum`.
- Pooling's backward decides the winner pairwise (first wins, as in PyTorch) in place of the forward's own buffers.
- BatchNorm's scale and shift are folded into the next layer (exact: neither conv2 nor fc1 pads), and its two backward
  sums fall out of the next layer's weight gradient, so BatchNorm costs two light passes.
- All large buffers belong to a reused workspace: no allocation, no page faults.

Names: n batch, h rows, w columns, c channels, k kernel. What was tried and did not pay stands in docs/log.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_threshold_backward = torch.ops.aten.threshold_backward.grad_input
"""grad where self > threshold, else 0, into a given buffer."""

CHUNKS = 2  # of the twelve pooled rows of layer 1: a chunk's buffers should stay in the cores' own caches


class Workspace:
    """The buffers, and the views on them, for one batch size.

    Axes: n batch, i pooled row, w pooled column, r and s the row and column inside a pooling window, c channel.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        new = torch.empty
        self.turn = 0  # counts the forwards: a backward must meet the buffers of its own forward
        # Layer 1. conv1's kernel stands at each of the four (r, s) of a 6x6 window: 40 output channels (r, s, c).
        self.x = new(n, 784)
        self.cols1 = new(12, n, 28, 6)  # w, n, input row, kernel column
        self.cols1_from = self.x.as_strided((12, n, 28, 6), (2, 784, 28, 1))
        patches1 = self.cols1.as_strided((12, 12 * n, 36), (12, 168, 1))  # i, (w, n), 6x6 window
        self.wide1 = new(40, 36).zero_()
        self.wide1_to = self.wide1.as_strided((2, 2, 10, 5, 5), (726, 361, 36, 6, 1))
        wide1_batch = self.wide1.expand(12, 40, 36)
        v1 = new(12, 40, 12 * n)
        h1 = new(12, 2, 10, 12 * n)
        self.p1 = new(12, 10, 12 * n)
        self.q1 = new(12, 10, 12 * n)
        self.q1_rows = self.q1.view(120, 12 * n)
        self.dw1 = new(12, 40, 36)
        phases1 = v1.view(12, 2, 2, 10, 12 * n)
        self.chunks1 = []
        for part in torch.arange(12).chunk(CHUNKS):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            pool = Pool(phases1[rows, :, 0], phases1[rows, :, 1], h1[rows], self.p1[rows], self.q1[rows])
            self.chunks1.append((pool, wide1_batch[rows], patches1[rows], v1[rows], self.dw1[rows]))
        # Layer 2. Output column 2 w + s is stored as (s, w).
        self.cols2 = new(12, 50, 8 * n)  # input row, (kernel column, channel), (s, w, n)
        self.cols2_to = self.cols2.view(12, 5, 10, 2, 4, n)
        self.cols2_from = self.q1.as_strided((12, 5, 10, 2, 4, n), (120 * n, n, 12 * n, n, 2 * n, 1))
        self.patches2 = self.cols2.as_strided((8, 250, 8 * n), (400 * n, 8 * n, 1))
        self.scaled2 = new(20, 5, 5, 10)
        self.scaled2_batch = self.scaled2.view(20, 250).expand(8, 20, 250)
        self.pad2 = new(16, 20, 8 * n).zero_()  # four rows of zeros either side: conv2's backward reads them
        self.v2 = self.pad2[4:12]
        phases2 = self.v2.view(4, 2, 20, 2, 4 * n)
        self.p2 = new(20, 16 * n)
        self.q2 = new(20, 16 * n)
        self.g2 = new(20, 16 * n)
        p2, g2 = (t.view(20, 4, 4 * n).transpose(0, 1) for t in (self.p2, self.g2))
        self.pool2 = Pool(phases2[:, :, :, 0], phases2[:, :, :, 1], new(4, 2, 20, 4 * n), p2, g2)
        self.z2 = new(20, 16 * n)
        self.z2_flat = self.z2.view(320, n)
        self.hidden = new(50, n)
        self._back = False

    def prepare_backward(self) -> None:
        """The buffers that only backward needs."""
        if self._back:
            return
        n, new = self.n, torch.empty
        self.d2 = self.v2.view(4, 40, 8 * n)
        self.patches2_t = self.cols2.as_strided((4, 300, 8 * n), (800 * n, 8 * n, 1)).transpose(1, 2)
        self.dw2 = new(4, 40, 300)
        self.windows2 = self.pad2.as_strided((12, 100, 8 * n), (160 * n, 8 * n, 1))
        self.dcols2 = new(12, 50, 8 * n)
        dcols2 = self.dcols2.view(12, 5, 10, 2, 4, n)
        self.fold2 = [
            (self.q1.as_strided((12, 10, 2, 4, n), (120 * n, 12 * n, n, 2 * n, 1), k * n), dcols2[:, k])
            for k in range(5)
        ]
        self.turned2 = new(5, 10, 5, 20)
        self.turned2_batch = self.turned2.view(50, 100).expand(12, 50, 100)
        self._back = True


class Pool:
    """2x2 max-pool over the halves `left`, `right` (…, r, c, …) of the windows' columns, both ways in given buffers."""

    def __init__(self, left: Tensor, right: Tensor, h: Tensor, pooled: Tensor, grad: Tensor) -> None:
        self.left, self.right, self.h, self.pooled, self.grad = left, right, h, pooled, grad
        self.upper, self.lower = h.unbind(1)

    def forward(self) -> None:
        """`pooled` from `left` and `right`."""
        torch.maximum(self.left, self.right, out=self.h)
        torch.maximum(self.upper, self.lower, out=self.pooled)

    def backward(self) -> None:
        """`left` and `right` become their own gradients. At a tie the first wins."""
        left, right, h, upper, lower, grad = self.left, self.right, self.h, self.upper, self.lower, self.grad
        torch.sub(lower, upper, out=lower)
        _threshold_backward(grad, lower, 0, grad_input=lower)
        torch.sub(grad, lower, out=upper)
        torch.sub(right, left, out=right)
        _threshold_backward(h, right, 0, grad_input=right)
        torch.sub(h, right, out=left)


class Shelf:
    """Free workspaces by batch size. A step takes one and puts it back, so nested forwards get their own."""

    def __init__(self, sizes: int = 3) -> None:
        self.sizes = sizes
        self.free: dict[int, list[Workspace]] = {}

    def take(self, n: int) -> Workspace:
        """A workspace for n images that nobody uses, made when there is none."""
        kept = self.free.pop(n, [])
        if not kept:
            with torch.inference_mode(False):  # buffers made in inference mode could not serve training later
                kept.append(Workspace(n))
        work = kept.pop()
        self.free[n] = kept  # the last used size is the last key
        while len(self.free) > self.sizes:
            del self.free[next(iter(self.free))]
        work.turn += 1
        return work

    def put(self, work: Workspace) -> None:
        """Give a workspace back."""
        if work.n in self.free:
            self.free[work.n].append(work)

    def __deepcopy__(self, memo: dict[int, Any]) -> Shelf:
        return Shelf(self.sizes)

    def __reduce__(self) -> tuple[type[Shelf], tuple[int]]:
        return Shelf, (self.sizes,)


def _centre(maps: Tensor, centred: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """1 / sqrt(var + eps) per channel; writes maps - mean to `centred`. Maps are (channel, x) or (row, channel, x)."""
    running_mean, running_var, momentum = norm.running_mean, norm.running_var, norm.momentum
    assert running_mean is not None
    assert running_var is not None
    assert momentum is not None
    if not norm.training:
        torch.sub(maps, running_mean.unsqueeze(1), out=centred)
        return running_var.add(norm.eps).rsqrt_()
    count = maps.numel() // running_mean.numel()
    mean = maps.mean((0, 2) if maps.dim() == 3 else 1)
    torch.sub(maps, mean.unsqueeze(1), out=centred)
    length = torch.linalg.vector_norm(centred, 2, -1)
    if maps.dim() == 3:
        length = torch.linalg.vector_norm(length, 2, 0)
    squares = length.square_()
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    running_mean.lerp_(mean, momentum)
    running_var.mul_(1 - momentum).add_(squares, alpha=momentum / (count - 1))
    return squares.div_(count).add_(norm.eps).rsqrt_()


Small = tuple[Tensor, ...]
"""The small tensors that backward needs beside the workspace."""
Norms = tuple[nn.BatchNorm2d, nn.BatchNorm2d]


def _forward(
    work: Workspace, images: Tensor, shift: Tensor, scale: Tensor, norms: Norms, parameters: tuple[Tensor, ...]
) -> tuple[Tensor, Small]:
    n = work.n
    conv1, conv1_bias, gain1, shift1, conv2, conv2_bias, gain2, shift2, fc1, fc1_bias, fc2, fc2_bias = parameters
    work.x.copy_(images.view(n, 784)).sub_(shift).mul_(scale)
    work.cols1.copy_(work.cols1_from)
    work.wide1_to.copy_(conv1.view(10, 5, 5))
    for pool, weight, patches, out, _ in work.chunks1:
        torch.bmm(weight, patches.transpose(1, 2), out=out)
        pool.forward()
    work.p1.add_(conv1_bias.unsqueeze(1)).relu_()
    rstd1 = _centre(work.p1, work.q1, norms[0])
    scale1 = gain1 * rstd1
    sums2 = conv2.view(20, 10, 25).sum(2)

    work.cols2_to.copy_(work.cols2_from)
    torch.mul(conv2.permute(0, 2, 3, 1), scale1, out=work.scaled2)
    torch.bmm(work.scaled2_batch, work.patches2, out=work.v2)
    work.pool2.forward()
    work.p2.add_(torch.addmv(conv2_bias, sums2, shift1).unsqueeze(1)).relu_()
    rstd2 = _centre(work.p2, work.q2, norms[1])
    torch.mul(work.q2, (gain2 * rstd2).unsqueeze(1), out=work.z2).add_(shift2.unsqueeze(1))

    torch.addmm(fc1_bias.unsqueeze(1), fc1, work.z2_flat, out=work.hidden).relu_()
    logits = torch.addmm(fc2_bias, work.hidden.t(), fc2.t())
    return logits, (rstd1, scale1, sums2, rstd2)


def _backward(
    work: Workspace, grad: Tensor, batch_stats: tuple[bool, bool], small: Small, parameters: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The gradients of the parameters, in their order."""
    n = work.n
    rstd1, scale1, sums2, rstd2 = small
    _, _, _, shift1, conv2, _, gain2, _, fc1, _, fc2, _ = parameters
    work.prepare_backward()

    d_fc2, d_fc2_bias = grad.t().mm(work.hidden.t()), grad.sum(0)
    d_hidden = fc2.t().mm(grad.t())
    _threshold_backward(d_hidden, work.hidden, 0, grad_input=d_hidden)
    d_fc1, d_fc1_bias = d_hidden.mm(work.z2_flat.t()), d_hidden.sum(1)
    g2 = work.g2
    torch.mm(fc1.t(), d_hidden, out=g2.view(320, n))
    d_shift2 = g2.sum(1)
    d_gain2 = torch.mul(g2, work.q2, out=work.z2).sum(1).mul_(rstd2)
    if batch_stats[1]:
        g2.sub_(work.q2.mul_((rstd2 * d_gain2).div_(16 * n).unsqueeze_(1))).sub_((d_shift2 / (16 * n)).unsqueeze_(1))
    g2.mul_((gain2 * rstd2).unsqueeze_(1))
    _threshold_backward(g2, work.p2, 0, grad_input=g2)
    d_conv2_bias = g2.sum(1)
    work.pool2.backward()

    torch.bmm(work.d2, work.patches2_t, out=work.dw2)
    both_rows = work.dw2.sum(0)
    raw2 = (both_rows[:20, :250] + both_rows[20:, 50:]).view(20, 25, 10).transpose(1, 2).contiguous()
    d_gain1 = (conv2.view(20, 10, 25) * raw2).sum((0, 2)).mul_(rstd1)
    d_shift1 = sums2.t().mv(d_conv2_bias)
    d_conv2 = raw2.mul_(scale1.unsqueeze(1)).add_(torch.outer(d_conv2_bias, shift1).unsqueeze_(2)).view(20, 10, 5, 5)
    work.turned2.copy_(work.scaled2.flip(1).permute(2, 3, 1, 0))
    torch.bmm(work.turned2_batch, work.windows2, out=work.dcols2)
    g1 = work.q1
    if batch_stats[0]:
        g1.mul_((scale1 * rstd1).mul_(d_gain1).div_(-144 * n).unsqueeze_(1))
        g1.sub_((scale1 * d_shift1).div_(144 * n).unsqueeze_(1))
    else:
        g1.zero_()
    for target, part in work.fold2:
        target.add_(part)
    _threshold_backward(g1, work.p1, 0, grad_input=g1)
    d_conv1_bias = g1.sum((0, 2))
    for pool, _, patches, d, dw in work.chunks1:
        pool.backward()
        torch.bmm(d, patches, out=dw)
    d_conv1 = work.dw1.sum(0).as_strided((2, 2, 10, 5, 5), (726, 361, 36, 6, 1)).sum((0, 1)).view(10, 1, 5, 5)
    return (
        d_conv1,
        d_conv1_bias,
        d_gain1,
        d_shift1,
        d_conv2,
        d_conv2_bias,
        d_gain2,
        d_shift2,
        d_fc1,
        d_fc1_bias,
        d_fc2,
        d_fc2_bias,
    )


class FastNet(torch.autograd.Function):
    """The whole net as one function of its parameters."""

    @staticmethod
    def forward(
        ctx: Any, shelf: Shelf, images: Tensor, shift: Tensor, scale: Tensor, norms: Norms, *parameters: Tensor
    ) -> Tensor:
        """Logits (n, classes) of uint8 images (n, 28, 28, 1)."""
        work = shelf.take(images.shape[0])
        logits, small = _forward(work, images, shift, scale, norms, parameters)
        ctx.shelf, ctx.work, ctx.turn = shelf, work, work.turn
        ctx.batch_stats = (norms[0].training, norms[1].training)
        ctx.save_for_backward(*small, *parameters)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of the parameters."""
        saved, work = ctx.saved_tensors, ctx.work
        if work is None or work.turn != ctx.turn:
            raise RuntimeError("FashionCNN: a second backward through the same graph; set `plain` for that")
        ctx.work = None
        grads = _backward(work, grad, ctx.batch_stats, saved[:4], saved[4:])
        ctx.shelf.put(work)
        return None, None, None, None, None, *grads


def supervise(
    shelf: Shelf,
    images: Tensor,
    labels: Tensor,
    shift: Tensor,
    scale: Tensor,
    norms: Norms,
    parameters: tuple[Tensor, ...],
    *,
    smoothing: float,
    batch_size: int,
) -> tuple[Tensor, list[Tensor]]:
    """Summed cross-entropy, and the gradients of it over `batch_size`: forward, loss and backward without autograd.

    110 small operations do not have to be written down first: a tenth of a step at batch 128.
    """
    with torch.inference_mode():
        work = shelf.take(len(images))
        logits, small = _forward(work, images, shift, scale, norms, parameters)
        log_p = torch.log_softmax(logits, 1)
        target = torch.full_like(log_p, smoothing / log_p.shape[1])
        target.scatter_add_(1, labels.unsqueeze(1), torch.full_like(log_p[:, :1], 1 - smoothing))
        loss = (log_p * target).sum().neg_()
        gradient = log_p.exp_().sub_(target).div_(batch_size)
        found = _backward(work, gradient, (norms[0].training, norms[1].training), small, parameters)
        shelf.put(work)
    return loss, [g.clone() for g in found]  # what inference mode made could not be changed in place later


def scores(
    shelf: Shelf, images: Tensor, shift: Tensor, scale: Tensor, norms: Norms, parameters: tuple[Tensor, ...]
) -> Tensor:
    """Logits (n, classes) without a graph."""
    work = shelf.take(images.shape[0])
    logits, _ = _forward(work, images, shift, scale, norms, parameters)
    shelf.put(work)
    return logits
