"""What turns decisions into changes of the kernel, and is alone in doing so."""
