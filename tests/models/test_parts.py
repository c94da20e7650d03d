import torch
import torch.nn.functional as F
from scalelaws.models.parts import _AddedRows, norm


def test_a_gpu_s_way_to_embed_adds_the_gradient_of_pytorch_s_own():
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 9, (4, 30), generator=draw)
    plain, added = (torch.ones(12, 6).requires_grad_(True) for _ in range(2))
    added.grad = torch.full((12, 6), 2.0)
    factor = torch.randn(4, 30, 6, generator=draw)
    (F.embedding(ids, plain) * factor).sum().backward()
    (_AddedRows.apply(added, ids) * factor).sum().backward()
    torch.testing.assert_close(added.grad, plain.grad + 2.0)


def test_norms_are_those_of_pytorch_s_one_kernel_which_a_gpu_takes():
    for dtype in (torch.float32, torch.bfloat16):
        x = (5 * torch.randn(40, 48, generator=torch.Generator().manual_seed(0))).to(dtype)
        torch.testing.assert_close(norm(x), F.rms_norm(x, (48,), eps=1e-6))
