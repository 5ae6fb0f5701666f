"""What the demo says, in the language that was chosen."""

from collections.abc import Mapping

from backend.util.language import Language

TEXTS: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "desk": "모의 Freshdesk를 시작했습니다: {url}",
        "server": "서버가 준비되었습니다: {url} ({seconds:.1f}초)",
        "collected": "수집 완료: 티켓 {tickets}개, 메시지 {conversations}개, 지식 문서 {articles}개,"
        " 첨부 {attachments}개 (요청 {requests}회, 색인 {indexed}개)",
        "pending": "대기", "tickets": "티켓 수집", "removed": "삭제 확인", "articles": "지식 문서 수집",
        "attachments": "첨부 파일 수집", "index": "검색 색인", "done": "완료",
        "statistics": "티켓 통계", "newest": "최근 티켓",
        "number": "번호", "title": "제목", "status": "상태", "priority": "우선순위", "score": "유사도",
        "chosen": "티켓 #{number}",
        "summary": "요약", "problem": "문제", "cause": "원인", "solution": "해결", "result": "결과",
        "keywords": "키워드",
        "similar": "비슷한 티켓", "sources": "출처", "ticket_source": "티켓", "article_source": "지식 문서",
        "draft": "초안", "reply": "고객에게 보낼 답변",
        "refused": "이 티켓에 답할 자료가 없어 초안을 쓰지 않았습니다.",
        "ask": "[a] 채택  [e] 수정  [r] 반려 > ",
        "edit": "답변을 쓰고 점(.)만 있는 줄로 끝내세요. 바로 점을 쓰면 초안 그대로입니다.\n",
        "note": "Freshdesk에 남은 비공개 메모",
        "took": "걸린 시간: {seconds:.1f}초",
        "nothing": "이 언어로 된 티켓이 없습니다. --ticket N으로 고르세요.",
        "waits": "초안이 결정을 기다립니다. 터미널에서 실행하거나 --yes를 쓰세요.",
        "broken": "답이 끝나기 전에 서버가 멈췄습니다.",
        "no_note": "메모가 티켓에 없습니다.",
        "stopped": "멈췄습니다.",
        "keep": "서버가 계속 실행됩니다. Ctrl-C로 끝냅니다.",
        "docs": "API 문서",
    },
    "en": {
        "desk": "A simulated Freshdesk is running: {url}",
        "server": "The server is ready: {url} ({seconds:.1f} s)",
        "collected": "Collected: {tickets} tickets, {conversations} messages, {articles} articles, {attachments}"
        " attachments ({requests} requests, {indexed} indexed)",
        "pending": "waiting", "tickets": "tickets", "removed": "what was deleted", "articles": "articles",
        "attachments": "attachments", "index": "search index", "done": "done",
        "statistics": "Tickets", "newest": "Newest tickets",
        "number": "number", "title": "title", "status": "status", "priority": "priority", "score": "likeness",
        "chosen": "Ticket #{number}",
        "summary": "Summary", "problem": "problem", "cause": "cause", "solution": "solution", "result": "result",
        "keywords": "keywords",
        "similar": "Similar tickets", "sources": "Sources", "ticket_source": "ticket", "article_source": "article",
        "draft": "Draft", "reply": "Reply to the customer",
        "refused": "Nothing answers this ticket, so no draft was written.",
        "ask": "[a]ccept  [e]dit  [r]eject > ",
        "edit": "Write the reply; a line with only a dot ends it. A dot at once leaves the draft as it is.\n",
        "note": "The private note in Freshdesk",
        "took": "It took {seconds:.1f} s.",
        "nothing": "There is no ticket in this language; choose one with --ticket N.",
        "waits": "The draft waits for a decision: run this at a terminal, or use --yes.",
        "broken": "The server stopped before the answer was whole.",
        "no_note": "The note is not on the ticket.",
        "stopped": "Stopped.",
        "keep": "The server goes on; Ctrl-C ends it.",
        "docs": "API documentation",
    },
}  # fmt: skip
