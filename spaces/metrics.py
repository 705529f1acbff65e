"""Validation metrics of a pack: error, NLL, Brier score and expected calibration error.

Axes: K member, N example, C class.
"""

import torch

CALIBRATION_BINS = 15


def classification_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return "error", "nll", "brier" and "ece", each `[K]`, of logits `[K, N, C]`, labels `[N]`.

    Error is the share of wrong predictions; NLL the mean of -ln p[y], in nats; Brier the mean
    over examples of the sum over classes of (p - onehot)^2; ECE the mean gap between confidence
    and accuracy over 15 equal bins of confidence, weighted by their share of examples (Guo et
    al., arXiv 1706.04599, eq. 3). A logit that is not finite makes a member's metrics NaN.
    """
    members, examples = logits.shape[:2]
    log_p = torch.log_softmax(logits, dim=-1)
    p = log_p.exp()
    index = labels.expand(members, examples)[..., None]
    nll = -log_p.gather(-1, index)[..., 0]
    # sum_c (p_c - y_c)^2 = sum_c p_c^2 - 2 p_y + 1
    brier = p.square().sum(-1) - 2 * p.gather(-1, index)[..., 0] + 1
    confidence, predicted = p.max(-1)
    correct = (predicted == labels).to(logits.dtype)
    metrics = {
        "error": 1 - correct.mean(-1),
        "nll": nll.mean(-1),
        "brier": brier.mean(-1),
        "ece": _calibration_error(confidence, correct),
    }
    finite = torch.isfinite(logits.reshape(members, -1).sum(-1))
    return {name: torch.where(finite, value, torch.nan) for name, value in metrics.items()}


def _calibration_error(confidence: torch.Tensor, correct: torch.Tensor) -> torch.Tensor:
    members, examples = confidence.shape
    # Bins are (b/15, (b+1)/15]; a confidence that is not a number must not become an index.
    bins = (torch.nan_to_num(confidence) * CALIBRATION_BINS).ceil_().sub_(1).long()
    bins.clamp_(0, CALIBRATION_BINS - 1)
    gap = torch.zeros(members, CALIBRATION_BINS, dtype=confidence.dtype, device=confidence.device)
    gap.scatter_add_(1, bins, confidence - correct)
    return gap.abs().sum(-1) / examples
