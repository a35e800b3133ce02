"""Table 1 in the tools that people evaluate with: inspect-ai, lm-evaluation-harness, LightEval."""
