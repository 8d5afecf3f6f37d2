"""May this model clear pieces on its own? Pure: the facts of its manifest in, the answer and every objection out."""

from dataclasses import dataclass

from station.domain.clearance import MIN_CALIBRATION

MIN_DETECTION = 0.90
"""Lower 95 % bound of the detection of projected threats that a model needs (design: safety and decisions, policy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a verified manifest says of its model.

    `signed`: the signature of an allowed key holds. `fitted_site`: where its calibration pieces came from (None: synthetic).
    `detection_lower_95`: lower 95 % bound of measured detection of projected threats (None: not measured).
    """

    signed: bool
    fitted_site: str | None
    calibration_n: int
    detection_lower_95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityJudgement:
    """`objections` say in plain words what the model lacks; empty means that it may be an authority."""

    objections: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """True when nothing is lacking."""
        return not self.objections


def may_be_authority(facts: ModelFacts, *, site: str) -> AuthorityJudgement:
    """Judge whether the model may be an authority on `site`; everything that cannot be understood is an objection."""
    objections = []
    if not facts.signed:
        objections.append("its manifest is not signed by an allowed key")
    if not facts.fitted_site or facts.fitted_site != site:
        objections.append(f"it was fitted on {facts.fitted_site or 'synthetic pieces'}, not on {site or 'a named site'}")
    if facts.calibration_n < MIN_CALIBRATION:
        objections.append(f"{facts.calibration_n} benign pieces stand behind its threshold, {MIN_CALIBRATION} are needed")
    bound = facts.detection_lower_95
    if bound is None or not MIN_DETECTION <= bound <= 1:
        measured = "not measured" if bound is None else f"{bound:.3f}"
        objections.append(f"the lower 95 % bound of its detection of projected threats is {measured}, {MIN_DETECTION:.2f} is needed")
    return AuthorityJudgement(objections=tuple(objections))
