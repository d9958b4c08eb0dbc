"""How a number is read out."""


def in_groups(digits: str) -> list[str]:
    """Three by three, the last group taking up to four: '5125550143' gives '512', '555', '0143'."""
    groups = []
    while len(digits) > 4:
        groups.append(digits[:3])
        digits = digits[3:]
    return [*groups, digits]
