class Refusal(Exception):  # noqa: N818  # a decision, not a fault
    """A change that the present state does not allow; the text is a sentence for the user.

    Wrong input is a ValidationError instead, with the field named. What came too often may be asked
    again after `wait_seconds`.
    """

    def __init__(
        self, sentence: str, *, code: str = "refused", wait_seconds: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.wait_seconds = wait_seconds
