"""Files of any format to regular conversations."""
