// The matrix products of matmul.wgsl with both factors staged in workgroup memory, so that the threads of a group share
// their reads. On a software adapter, the barriers would cost more than that saves.

alias Staged = f32;

#include "lib/staged-product.wgsl"
