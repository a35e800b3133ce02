"""Training recipes (YAML), DeepSpeed and accelerate configurations, shipped as package data."""
