"""What the name of a table's objective says of it: whether more is better, or less."""

import re

_WORD = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+")
_MORE = re.compile(
    r"[a-z]*acc(uracy|uracies)?\d*"
    r"|[a-z]*au(c|roc|prc)\d*|f1|r2|precision|recall|m?iou|dice|mcc|kappa|bleu"
)
_LESS = re.compile(
    r"err(or|ors)?|loss(es)?|wrong|mis\w*|inaccuracy|nll|brier|\w*[ms]se|mae|perplexity|ppl|regret"
    r"|cost|risk|neg(ative)?|minus|lack|drop|gap"
)
_TAKEN_AWAY = re.compile(r"\s*(1|100)?\s*-")
"""As in "1 - accuracy", or "-auc"."""


def says_less(name: str) -> bool:
    """Say whether a name is that of an error or a loss, of which less is better.

    >>> [says_less(name) for name in ("val_loss", "1-acc", "negAUC", "value", "val_acc")]
    [True, True, True, False, False]
    """
    return _TAKEN_AWAY.match(name) is not None or any(map(_LESS.fullmatch, _split(name)))


def says_more(name: str) -> bool:
    """Say whether a name is that of an accuracy or a score, of which more is better.

    >>> [says_more(name) for name in ("val/accuracy", "testAcc", "roc_auc", "value", "acc_loss")]
    [True, True, True, False, False]
    """
    return not says_less(name) and any(map(_MORE.fullmatch, _split(name)))


def _split(name: str) -> list[str]:
    """Return a name's words in small letters.

    >>> _split("val_Top1Acc/F1")
    ['val', 'top1', 'acc', 'f1']
    """
    return [word.lower() for word in _WORD.findall(name)]
