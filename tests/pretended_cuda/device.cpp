// A device that is called "cuda" in a CPU build of torch: its memory is the host's and its kernels are the CPU's, but it
// has a dispatch key, a generator and an autograd thread of its own. Tensors on different devices are refused, as on a
// GPU, and every operation for which the host would wait for a GPU is logged.
//
// It is preloaded (LD_PRELOAD), because torch looks for the device's hooks once, while it is imported. `device.py`
// replaces what `torch.cuda` asks of the driver.
#define AT_PER_OPERATOR_HEADERS  // not those of all operators, which take longer to read than the rest to compile
#include <ATen/EmptyTensor.h>
#include <ATen/SparseCsrTensorUtils.h>
#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/_sparse_csr_tensor_unsafe.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>
#include <c10/util/strides.h>
#include <torch/library.h>

#include "driver.hpp"

namespace {

// ---- All operators that have no entry of their own: run the CPU's kernel on aliases of the tensors

const std::set<std::string> WAITING = {"aten::nonzero", "aten::equal", "aten::masked_select", "aten::is_nonzero",
                                       "aten::_unique", "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive"};

template <typename Change>
void change(c10::IValue& value, Change changed) {
  if (value.isTensor()) {
    value = changed(value.toTensor());
  } else if (value.isTensorList()) {
    std::vector<Tensor> list;
    for (const Tensor& t : value.toTensorVector()) list.push_back(changed(t));
    value = c10::IValue(list);
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (const auto& t : value.toOptionalTensorVector()) list.push_back(t ? std::optional<Tensor>(changed(*t)) : t);
    value = c10::IValue(list);
  }
}

// Refuse tensors of two devices; log indices that are masks or on the host. True if a tensor is on this device.
bool checked(const std::string& name, torch::jit::Stack& stack, size_t count) {
  bool ours = false, host = false, host_index = false;
  auto look = [&](const Tensor& t) {
    if (here(t)) ours = true;
    else if (t.defined() && t.dim() > 0) host = true;  // a host's () tensor becomes an argument of the kernel
    return t;
  };
  for (auto value : torch::jit::last(stack, count)) {  // by value: `change` must not touch the stack
    if (!value.isOptionalTensorList()) {
      change(value, look);
      continue;
    }
    for (const auto& index : value.toOptionalTensorVector()) {
      if (!index || !index->defined()) continue;
      (here(*index) ? ours : host_index) = true;
      const bool mask = index->scalar_type() == at::kBool || index->scalar_type() == at::kByte;
      if (mask && here(*index)) wait(name + " with a mask as index");
    }
  }
  TORCH_CHECK(!(ours && host), "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (", name, ")");
  if (ours && host_index) wait(name + " with an index on the host");
  if (ours && WAITING.count(name)) wait(name);
  return ours;
}

void on_the_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const size_t count = schema.arguments().size(), begin = stack->size() - count;
  bool ours = checked(schema.operator_name().name, *stack, count);
  std::vector<std::pair<Tensor, Tensor>> aliases;  // ours, the CPU's
  auto there = [&](const Tensor& t) {
    if (here(t)) aliases.emplace_back(t, on_cpu(t));
    return here(t) ? aliases.back().second : t;
  };
  {
    std::lock_guard<std::mutex> lock(mutex);
    used.insert(c10::toString(schema.operator_name()));
  }
  for (size_t i = begin; i < stack->size(); i++) {
    c10::IValue& value = (*stack)[i];
    change(value, there);
    if (value.isDevice() && value.toDevice().type() == TYPE) {
      value = Device(c10::kCPU);
      ours = true;
    } else if (value.isGenerator() && value.toGenerator().defined()) {
      auto generator = value.toGenerator();
      TORCH_CHECK(generator.device().type() == TYPE, "Expected a 'cuda' device type for generator but found '", generator.device().type(), "'");
      value = static_cast<Generator*>(generator.unsafeGetGeneratorImpl())->cpu;
    }
  }
  {
    at::AutoDispatchBelowADInplaceOrView below;
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  }
  auto back = [&](const Tensor& t) -> Tensor {
    if (!t.defined() || !ours) return t;
    for (auto& [own, cpu] : aliases) {
      if (!cpu.is_same(t)) continue;  // an operator in place, or one with `out`, which may have resized it
      if (own.storage().data() != t.storage().data() || own.storage().nbytes() != t.storage().nbytes())
        own.unsafeGetTensorImpl()->set_storage_keep_dtype(alias(t, DEVICE).storage());
      own.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
      return own;
    }
    return alias(t, DEVICE);
  };
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) change((*stack)[i], back);
}

// ---- Copies and values read: what a host waits for

Tensor& copy_(Tensor& self, const Tensor& source, bool) {
  if (here(self) && !here(source)) wait("copy from the host, " + std::to_string(source.nbytes()) + " bytes");
  if (!here(self) && here(source)) wait("copy to the host, " + std::to_string(source.nbytes()) + " bytes");
  at::AutoDispatchBelowADInplaceOrView below;
  on_cpu(self).copy_(on_cpu(source));
  return self;
}

at::Scalar local_scalar_dense(const Tensor& t) {
  wait("a value is read (item, float, int, bool)");
  return at::_local_scalar_dense(on_cpu(t));
}

// The only operator of sparse matrices that this project uses.
Tensor& sparse_addmv_out(const Tensor& self, const Tensor& matrix, const Tensor& x, const at::Scalar& beta,
                         const at::Scalar& alpha, Tensor& out) {
  at::AutoDispatchBelowADInplaceOrView below;
  auto* parts = at::sparse_csr::get_sparse_csr_impl(matrix);
  Tensor cpu = at::_sparse_csr_tensor_unsafe(on_cpu(parts->compressed_indices()), on_cpu(parts->plain_indices()),
                                             on_cpu(parts->values()), matrix.sizes(), matrix.scalar_type());
  return out.copy_(alias(at::addmv(on_cpu(self), cpu, on_cpu(x), beta, alpha), DEVICE));
}

// ---- Making tensors and views of them

IntArrayRef ints(c10::SymIntArrayRef values) { return C10_AS_INTARRAYREF_SLOW(values); }
c10::ScalarType type_or_default(std::optional<c10::ScalarType> type) {
  return type.value_or(c10::typeMetaToScalarType(at::get_default_dtype()));
}

Tensor empty(c10::SymIntArrayRef size, std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
             std::optional<Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(ints(size), &allocator, KEYS, type_or_default(type), format);
}
Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<c10::ScalarType> type,
                     std::optional<c10::Layout>, std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(ints(size), ints(stride), &allocator, KEYS, type_or_default(type));
}

Tensor viewed(const Tensor& t, IntArrayRef size, IntArrayRef stride, int64_t offset, caffe2::TypeMeta type) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(t.storage()), t.key_set(), type);
  made.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return made;
}
template <typename View>
Tensor like(const Tensor& t, View make) {  // the view that the CPU makes
  at::AutoDispatchBelowADInplaceOrView below;
  Tensor v = make(on_cpu(t));
  return viewed(t, v.sizes(), v.strides(), v.storage_offset(), v.dtype());
}
Tensor as_strided(const Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<c10::SymInt> offset) {
  return viewed(t, ints(size), ints(stride), offset ? offset->expect_int() : t.storage_offset(), t.dtype());
}
Tensor reshape_alias(const Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return viewed(t, ints(size), ints(stride), t.storage_offset(), t.dtype());
}
Tensor view(const Tensor& t, c10::SymIntArrayRef size) {
  return like(t, [&](const Tensor& cpu) { return cpu.view(ints(size)); });
}
Tensor view_dtype(const Tensor& t, c10::ScalarType type) {
  return like(t, [&](const Tensor& cpu) { return cpu.view(type); });
}
Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step) {
  return like(t, [&](const Tensor& cpu) { return cpu.unfold(dim, size, step); });
}
Tensor view_as_real(const Tensor& t) { return like(t, [](const Tensor& cpu) { return at::view_as_real(cpu); }); }
Tensor view_as_complex(const Tensor& t) { return like(t, [](const Tensor& cpu) { return at::view_as_complex(cpu); }); }

Tensor& set(Tensor& t, c10::Storage storage, IntArrayRef size, IntArrayRef stride, int64_t offset) {
  t.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  t.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return t;
}
Tensor& set_storage_offset(Tensor& t, c10::Storage s, c10::SymInt offset, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  auto contiguous = c10::contiguous_strides(ints(size));
  return set(t, s, ints(size), stride.empty() ? IntArrayRef(contiguous) : ints(stride), offset.expect_int());
}
Tensor& set_storage(Tensor& t, c10::Storage s) {
  const int64_t count = s.nbytes() / t.dtype().itemsize(), one = 1;
  return set(t, s, IntArrayRef(&count, 1), IntArrayRef(&one, 1), 0);
}
Tensor& set_tensor(Tensor& t, const Tensor& s) { return set(t, s.storage(), s.sizes(), s.strides(), s.storage_offset()); }
const Tensor& resize_(const Tensor& t, c10::SymIntArrayRef size, std::optional<c10::MemoryFormat> format) {
  if (t.sizes() == ints(size)) return t;
  Tensor n = at::detail::empty_generic(ints(size), &allocator, KEYS, t.scalar_type(), format), self = t;
  set_tensor(self, n);
  return t;
}

}  // namespace

// ---- Called by device.py

extern "C" {
void pretended_forget() { std::lock_guard<std::mutex> lock(mutex); waits.clear(); }
int pretended_count() { std::lock_guard<std::mutex> lock(mutex); return static_cast<int>(waits.size()); }
const char* pretended_operators() {
  static std::string lines;
  lines.clear();
  for (const auto& name : used) lines += name + "\n";
  return lines.c_str();
}
const char* pretended_wait(int i) { std::lock_guard<std::mutex> lock(mutex); return waits[i].c_str(); }
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("copy_", &copy_);
  m.impl("_local_scalar_dense", &local_scalar_dense);
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("as_strided", &as_strided);
  m.impl("_reshape_alias", &reshape_alias);
  m.impl("view", &view);
  m.impl("view.dtype", &view_dtype);
  m.impl("unfold", &unfold);
  m.impl("view_as_real", &view_as_real);
  m.impl("view_as_complex", &view_as_complex);
  m.impl("set_.source_Storage_storage_offset", &set_storage_offset);
  m.impl("set_.source_Storage", &set_storage);
  m.impl("set_.source_Tensor", &set_tensor);
  m.impl("resize_", &resize_);
  // Composite: without these entries they would become the operators of another backend.
  for (const char* name : {"convolution", "convolution_backward", "native_batch_norm", "native_batch_norm_backward"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>());
}
TORCH_LIBRARY_IMPL(aten, SparseCsrCUDA, m) { m.impl("addmv.out", &sparse_addmv_out); }
