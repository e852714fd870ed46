"""What the kernel can do, without knowing who asks or how: one module a capability."""
