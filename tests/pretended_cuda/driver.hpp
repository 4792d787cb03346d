// The driver of the pretended device: its log, its stream, its generator and its memory; see device.cpp.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::IntArrayRef;
using c10::Stream;

namespace {

const c10::DeviceType TYPE = c10::DeviceType::CUDA;
const c10::DispatchKeySet KEYS(c10::DispatchKey::CUDA);
const Device DEVICE(TYPE, 0);

// ---- The logs: what waits for the device, and what runs on it

std::mutex mutex;
std::vector<std::string> waits;

void wait(const std::string& what) {
  std::lock_guard<std::mutex> lock(mutex);
  waits.push_back(what);
}

// Names of the operators that ran on the device, with their overloads.
std::set<std::string> used;

// ---- The driver: one device with one stream, always idle

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return TYPE; }
  Device exchangeDevice(Device) const override { return DEVICE; }
  Device getDevice() const override { return DEVICE; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream getDefaultStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream exchangeStream(Stream) const override { return Stream(Stream::DEFAULT, DEVICE); }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
};
c10::impl::DeviceGuardImplRegistrar guard(TYPE, new Guard());

// A generator of the CPU that draws for this device only.
struct Generator final : c10::GeneratorImpl {
  Generator() : GeneratorImpl(DEVICE, KEYS), cpu(at::make_generator<at::CPUGeneratorImpl>(0)) {}
  void set_current_seed(uint64_t seed) override { cpu.set_current_seed(seed); }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  uint64_t current_seed() const override { return cpu.current_seed(); }
  uint64_t seed() override { return cpu.seed(); }
  void set_state(const c10::TensorImpl& state) override { cpu.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return cpu.unsafeGetGeneratorImpl()->get_state(); }
  Generator* clone_impl() const override {
    auto* copy = new Generator();
    copy->cpu = cpu.clone();
    return copy;
  }
  at::Generator cpu;
};

struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex current_device() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
  at::Generator getNewGenerator(DeviceIndex) const override { return at::make_generator<Generator>(); }
  const at::Generator& getDefaultGenerator(DeviceIndex) const override {
    static at::Generator shared = at::make_generator<Generator>();
    return shared;
  }
};
c10::Registerer<std::string, std::unique_ptr<at::CUDAHooksInterface>, at::CUDAHooksArgs> hooks(
    "CUDAHooks", at::CUDAHooksRegistry(),
    [](at::CUDAHooksArgs args) { return std::unique_ptr<at::CUDAHooksInterface>(new Hooks(args)); });

// ---- Memory: that of the CPU under the device's name

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr made = c10::GetCPUAllocator()->allocate(bytes);
    void* data = made.get();
    auto deleter = made.get_deleter();
    return {data, made.release_context(), deleter, DEVICE};
  }
  c10::DeleterFnPtr raw_deleter() const override { return c10::GetCPUAllocator()->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};
Allocator allocator;
REGISTER_ALLOCATOR(c10::DeviceType::CUDA, &allocator);

bool here(const Tensor& t) { return t.defined() && t.device().type() == TYPE; }

// The same values and the same memory as a tensor on the other device.
Tensor alias(const Tensor& t, Device device) {
  const bool ours = device.type() == TYPE;
  auto* kept = new c10::Storage(t.storage());
  c10::DataPtr data(kept->mutable_data(), kept, [](void* storage) { delete static_cast<c10::Storage*>(storage); }, device);
  c10::Allocator* owner = ours ? static_cast<c10::Allocator*>(&allocator) : c10::GetCPUAllocator();
  c10::Storage storage(c10::Storage::use_byte_size_t(), kept->nbytes(), std::move(data), owner, true);
  auto keys = ours ? KEYS : c10::DispatchKeySet(c10::DispatchKey::CPU);
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), keys, t.dtype());
  auto* impl = made.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.is_conj()) impl->_set_conj(true);
  if (t.is_neg()) impl->_set_neg(true);
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) impl->set_wrapped_number(true);
  return made;
}
Tensor on_cpu(const Tensor& t) { return here(t) ? alias(t, Device(c10::kCPU)) : t; }

}  // namespace
