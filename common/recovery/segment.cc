// The pool of segments.
#include "common/recovery/segment.h"

namespace hawser {

SegmentRef SegmentPool::make(size_t* held) {
  if (!free_) {
    auto chunk = std::make_unique<Segment[]>(kPerChunk);
    for (size_t i = kPerChunk; i-- > 0;) {
      chunk[i].pool = this;
      chunk[i].next_free = free_;
      free_ = &chunk[i];
    }
    chunks_.push_back(std::move(chunk));
  }
  Segment* s = free_;
  free_ = s->next_free;
  ++in_use_;
  s->held = held;
  if (held) ++*held;
  return SegmentRef{s};
}

void SegmentPool::recycle(Segment* s) {
  s->let_go();
  *s = Segment{};
  s->pool = this;
  s->next_free = free_;
  free_ = s;
  --in_use_;
}

}  // namespace hawser
