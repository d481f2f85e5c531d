class Refusal(Exception):  # noqa: N818  # a decision, not a fault
    """A change that the present state does not allow; the text is a sentence for the user.

    Wrong input is a ValidationError instead, with the field named.
    """

    def __init__(self, sentence: str, *, code: str = "refused") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
