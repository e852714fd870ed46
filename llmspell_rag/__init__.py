"""What reads documents, cuts them and finds their passages: processes of their own, which the kernel starts."""
