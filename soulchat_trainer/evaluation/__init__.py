"""The paper's evaluation: automatic scores (table 1), what its claims can be measured by, and ratings by people."""
