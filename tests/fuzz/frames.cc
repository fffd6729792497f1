// The frames of an opened datagram: whatever is read can be written, and reads back equal.
#include "common/wire/frame.h"

#include "tests/fuzz/check.h"
#include "tests/unit/wire/support.h"

using namespace hawser;
using namespace hawser::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  FrameReader reader(bytes);
  Frame frame;
  size_t frames = 0;
  FrameReader::Next how;
  while ((how = reader.next(frame)) == FrameReader::Next::frame) {
    FUZZ_CHECK(++frames <= size);
    if (const auto* f = std::get_if<DataFrame>(&frame))
      FUZZ_CHECK(!f->payload.empty() && fuzz::inside(f->payload, bytes));
    if (const auto* f = std::get_if<FragmentFrame>(&frame)) {
      FUZZ_CHECK(!f->payload.empty() && fuzz::inside(f->payload, bytes) && f->offset + f->payload.size() <= 65'535);
    }
    const auto* data_frame = std::get_if<DataFrame>(&frame);
    if (data_frame && data_frame->payload.size() > 65'535) continue;  // longer than any datagram: cannot be sized

    const test::Bytes again = test::encode_frame(frame, true);
    FUZZ_CHECK(!again.empty());
    FrameReader second{ByteSpan(again)};
    Frame copy;
    FUZZ_CHECK(second.next(copy) == FrameReader::Next::frame);
    FUZZ_CHECK(test::describe(copy) == test::describe(frame));
    FUZZ_CHECK(second.next(copy) == FrameReader::Next::end);
  }
  FUZZ_CHECK(reader.next(frame) == how);
  return 0;
}
