"""A model as judge, and how far it says what people say."""
