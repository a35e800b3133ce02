"""The four questions of the paper's manual evaluation, CEHS (section 3.3; appendix G, table 2), from the rubric."""

from soulchat_trainer.evaluation.rubric import read_rubric

RUBRIC = read_rubric("cehs")
ASPECTS = RUBRIC.aspects
check_scores = RUBRIC.check_scores
