"""What the demo desk is about: Ondam (온담), an invented service with which shops run their orders. Written by hand."""
