"""The plain torch GPTQ loop (IST-DASLab/gptq, gptq.py: fasterquant), timed on the shapes of solve_bench.cpp.

    python bench/solve_peer.py [columns] [threads]

4 bits, groups of 128, natural order, lazy blocks of 128, no clip search. Written out here with torch alone so that it
needs no other package; the arithmetic and the order of operations are those of the reference code.
"""
import sys
import time

import torch


def correlated_hessian(columns):
    x = torch.randn(2 * columns, columns) @ (torch.eye(columns) + torch.randn(columns, columns) * 0.3 / columns**0.5)
    x *= torch.exp(0.7 * torch.randn(columns))
    return x.T @ x


def fit(w, top=15):
    low, high = w.min(1).values.clamp(max=0), w.max(1).values.clamp(min=0)
    scale = (high - low) / top
    return scale.unsqueeze(1), torch.round(-low / scale).unsqueeze(1)


def factor(hessian, percdamp=0.01):
    h = hessian.clone()
    diagonal = torch.arange(h.shape[0])
    h[diagonal, diagonal] += percdamp * h.diagonal().mean()
    h = torch.linalg.cholesky(h)
    h = torch.cholesky_inverse(h)
    return torch.linalg.cholesky(h, upper=True)


def sweep(weight, upper, group=128, block=128, top=15):
    w = weight.clone()
    q = torch.zeros_like(w)
    losses = torch.zeros_like(w)
    for i1 in range(0, w.shape[1], block):
        i2 = min(i1 + block, w.shape[1])
        w1, u1 = w[:, i1:i2].clone(), upper[i1:i2, i1:i2]
        q1, e1, l1 = torch.zeros_like(w1), torch.zeros_like(w1), torch.zeros_like(w1)
        for i in range(i2 - i1):
            column, pivot = w1[:, i], u1[i, i]
            if (i1 + i) % group == 0:
                scale, zero = fit(w[:, i1 + i:i1 + i + group], top)
            code = torch.clamp(torch.round(column.unsqueeze(1) / scale) + zero, 0, top)
            value = (scale * (code - zero)).flatten()
            q1[:, i] = value
            l1[:, i] = (column - value)**2 / pivot**2
            error = (column - value) / pivot
            w1[:, i:] -= error.unsqueeze(1).matmul(u1[i, i:].unsqueeze(0))
            e1[:, i] = error
        q[:, i1:i2], losses[:, i1:i2] = q1, l1 / 2
        w[:, i2:] -= e1.matmul(upper[i1:i2, i2:])
    return q, losses.sum()


def main():
    columns = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
    torch.manual_seed(0)
    weight, hessian = torch.randn(columns, columns) * 0.02, correlated_hessian(columns)
    best_factor = best_sweep = 1e30
    for _ in range(2):
        start = time.perf_counter()
        upper = factor(hessian)
        middle = time.perf_counter()
        q, loss = sweep(weight, upper)
        end = time.perf_counter()
        best_factor, best_sweep = min(best_factor, middle - start), min(best_sweep, end - middle)
    d = (weight - q) @ hessian
    relative = (d * (weight - q)).sum() / ((weight @ hessian) * weight).sum()
    print(f"plain torch loop {columns} x {columns}: factor {best_factor:.3f} s, sweep {best_sweep:.3f} s, "
          f"both {best_factor + best_sweep:.3f} s, relative error {relative.item():.6f}")


if __name__ == "__main__":
    with torch.no_grad():
        main()
