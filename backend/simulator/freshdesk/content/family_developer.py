"""Problems with the API, webhooks and integrations."""

from backend.simulator.freshdesk.content.family import Family, Side

FAMILIES = (
    Family(
        name="api-signature",
        area="developer",
        kind="Incident",
        priority=3,
        tags=("api", "E-1042"),
        product="Ondam API",
        note=(
            "E-1042 로그 확인: 타임스탬프 차이 +417초. 서버 시계가 원인. NTP 동기화 안내. "
            "시크릿은 절대 메일로 재전송하지 말 것."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "API 호출 시 E-1042 오류",
                        (
                            "주문 조회 API를 호출하면 HTTP 401과 함께 E-1042 (invalid signature)가 반환됩니다. "
                            "키는 어제 새로 발급했습니다."
                        ),
                    ),
                    (
                        "서명 검증 실패 E-1042",
                        (
                            "개발 서버에서는 되는데 운영 서버에서만 E-1042 가 납니다. 코드는 동일합니다. 운영 "
                            "서버 IP는 {ip} 입니다."
                        ),
                    ),
                    (
                        "E-1042 문의",
                        (
                            "어제 오후부터 간헐적으로 E-1042 가 발생합니다. 하루 {count}건 정도 실패해요. 서버 "
                            "점검이 있었나요?"
                        ),
                    ),
                ),
                ask=(
                    "요청 헤더의 X-Ondam-Timestamp 값과 요청을 보낸 시각, 요청 ID(X-Request-Id)를 보내 "
                    "주세요. 시크릿 키는 보내지 마세요."
                ),
                reply=(
                    "요청 ID는 req_8f2c41 이고 타임스탬프는 밀리초로 보내고 있습니다. 서버 시간을 보니 "
                    "7분 정도 빠르네요."
                ),
                answer=(
                    "E-1042는 서명이 맞지 않거나 타임스탬프가 서버 시각과 5분 넘게 차이 날 때 반환됩니다. "
                    "고객님 서버의 시계가 7분 빨라 발생했습니다.\n"
                    "1. 서버에 NTP(chrony 등)를 설정하여 시계를 맞춥니다.\n"
                    "2. X-Ondam-Timestamp는 밀리초가 아닌 초 단위 유닉스 시각입니다.\n"
                    "3. 서명 원문은 '메서드 + 줄바꿈 + 경로(쿼리 포함) + 줄바꿈 + 타임스탬프 + 줄바꿈 + "
                    "본문의 SHA-256' 순서이고, 시크릿으로 HMAC-SHA256 한 뒤 16진수로 보냅니다.\n"
                    "4. 본문은 보내는 바이트 그대로 해시해야 합니다. 프록시가 본문을 다시 직렬화하면 "
                    "서명이 깨집니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "E-1042 invalid signature on production",
                        (
                            "The order API returns 401 with E-1042 from our production server {ip}; the same code "
                            "works in staging."
                        ),
                    ),
                    (
                        "Intermittent E-1042",
                        "Since {date} about {count} calls a day fail with E-1042. Did you change anything?",
                    ),
                ),
                ask="Please send the X-Request-Id and the X-Ondam-Timestamp of a failed call. Do not send the secret.",
                reply="req_8f2c41. I noticed that the server clock is seven minutes ahead.",
                answer=(
                    "E-1042 means that the signature does not match or that the timestamp is more than 5 "
                    "minutes off. Your server's clock was 7 minutes ahead.\n"
                    "1. Keep the clock right with NTP.\n"
                    "2. X-Ondam-Timestamp is in seconds, not milliseconds.\n"
                    "3. Sign: method, path with query, timestamp, SHA-256 of the body, joined by "
                    "newlines; HMAC-SHA256 with the secret, in hex.\n"
                    "4. Hash the bytes that are sent; a proxy that rewrites the JSON breaks the "
                    "signature."
                ),
            ),
        },
    ),
    Family(
        name="api-rate-limit",
        area="developer",
        kind="Question",
        priority=2,
        tags=("api", "E-2001", "rate-limit"),
        product="Ondam API",
        note="기본 분당 300회. 상향은 비즈니스 플러스만, 600까지는 지원팀 권한, 그 이상은 플랫폼팀 승인(PLT-LIMIT).",
        sides={
            "ko": Side(
                said=(
                    (
                        "API 호출 제한 E-2001",
                        "재고를 일괄로 갱신하면 E-2001 Too Many Requests 가 납니다. 분당 몇 회까지 가능한가요?",
                    ),
                    ("호출 한도 상향 요청", "상품이 {count}만 개라 한도가 부족합니다. 한도를 올려 주실 수 있나요?"),
                    ("429 에러", "429 에러가 나면 얼마나 기다려야 하나요? 계속 재시도하니까 더 심해지는 것 같습니다."),
                ),
                answer=(
                    "API는 워크스페이스당 분당 300회까지 호출할 수 있고, 넘으면 HTTP 429와 E-2001이 "
                    "반환됩니다.\n"
                    "- 응답의 Retry-After 초만큼 기다린 뒤 다시 보내 주세요. 바로 재시도하면 그 요청도 "
                    "한도에 포함됩니다.\n"
                    "- 재고는 PUT /v1/stocks/bulk 로 한 번에 200개까지 갱신할 수 있어 호출이 크게 "
                    "줄어듭니다.\n"
                    "- 목록은 page_size=100 과 updated_after 를 함께 쓰면 바뀐 것만 가져옵니다.\n"
                    "그래도 부족하시면 비즈니스 플러스에서 분당 600회까지 올려 드릴 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "E-2001 Too Many Requests",
                        "Our nightly stock update fails with 429 / E-2001. What is the limit per minute?",
                    ),
                    ("Raise API limit", "We have {count},000 products and need a higher limit."),
                ),
                answer=(
                    "A workspace may make 300 calls a minute; beyond that we answer 429 with E-2001.\n"
                    "- Wait as many seconds as Retry-After says. Immediate retries count as well.\n"
                    "- PUT /v1/stocks/bulk updates 200 products in one call.\n"
                    "- Lists with page_size=100 and updated_after return only what changed.\n"
                    "If that is not enough, Business Plus has 600 a minute."
                ),
            ),
        },
    ),
    Family(
        name="webhook-timeout",
        area="developer",
        kind="Incident",
        priority=3,
        tags=("webhook", "E-3107"),
        product="Ondam API",
        note=(
            "웹훅 타임아웃 5초. 24시간 동안 실패율 90% 이상이면 자동 비활성화. 재전송 명령: whctl "
            "replay --workspace <id> --since 24h"
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "웹훅이 오지 않습니다",
                        "주문 생성 웹훅이 {date}부터 오지 않습니다. 설정 화면에는 '중지됨(E-3107)'으로 되어 있습니다.",
                    ),
                    ("E-3107 웹훅 중지", "웹훅이 자꾸 E-3107 로 꺼집니다. 저희 서버는 정상이고 응답도 200을 보냅니다."),
                    (
                        "웹훅 재전송 요청",
                        "서버 점검 중에 놓친 웹훅을 다시 받을 수 있을까요? 점검은 새벽 2시부터 4시까지였습니다.",
                    ),
                ),
                ask="웹훅을 받는 서버의 평균 응답 시간이 얼마나 되는지 확인해 주시겠어요?",
                reply="웹훅을 받으면 ERP에 저장하고 응답하는데 8초쯤 걸립니다.",
                answer=(
                    "웹훅은 5초 안에 2xx 응답을 받아야 성공으로 처리됩니다. 실패가 계속되면 E-3107로 "
                    "중지됩니다.\n"
                    "1. 받는 즉시 200을 응답하고, 저장은 대기열에서 처리하도록 바꿔 주세요.\n"
                    "2. [개발자 > 웹훅]에서 '다시 시작'을 누릅니다.\n"
                    "3. 같은 화면의 '놓친 이벤트 재전송'으로 최근 72시간의 이벤트를 다시 받을 수 "
                    "있습니다.\n"
                    "같은 이벤트가 두 번 올 수 있으니 event_id로 중복을 걸러 주세요."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Webhooks stopped: E-3107",
                        "Our order webhook was disabled with E-3107 on {date}, although the endpoint answers 200.",
                    ),
                    ("Replay missed webhooks", "We had maintenance from 2 to 4 am. Can you send the events again?"),
                ),
                ask="How long does your endpoint take to answer on average?",
                reply="About 8 seconds, as it writes to the ERP first.",
                answer=(
                    "A webhook has to be answered with 2xx within 5 seconds, and is stopped with E-3107 "
                    "when it keeps failing.\n"
                    "1. Answer 200 at once and do the work from a queue.\n"
                    "2. Choose Developer > Webhooks > Restart.\n"
                    "3. 'Replay missed events' sends the last 72 hours again.\n"
                    "An event may arrive twice: drop duplicates by event_id."
                ),
            ),
        },
    ),
    Family(
        name="webhook-duplicate",
        area="developer",
        kind="Problem",
        priority=2,
        tags=("webhook", "duplicate"),
        product="Ondam API",
        note="at-least-once 설계라 정상 동작. 중복률 0.3% 넘으면 큐 파티션 재배치 여부 확인.",
        sides={
            "ko": Side(
                said=(
                    (
                        "웹훅이 두 번씩 와요",
                        "같은 주문 {order} 에 대한 order.paid 웹훅이 두 번 와서 포인트가 두 번 적립됐습니다.",
                    ),
                    (
                        "이벤트 중복 수신",
                        "중복 이벤트 때문에 ERP에 주문이 두 건씩 생깁니다. 한 번만 보내 주실 수 없나요?",
                    ),
                    (
                        "웹훅 순서 문의",
                        "order.shipped 가 order.paid 보다 먼저 도착하는 경우가 있습니다. 순서 보장이 되나요?",
                    ),
                ),
                answer=(
                    "웹훅은 '최소 한 번' 전달을 보장하므로 네트워크 사정에 따라 같은 이벤트가 다시 올 수 "
                    "있고, 순서는 보장되지 않습니다.\n"
                    "- event_id를 저장해 두고 이미 처리한 것은 건너뛰어 주세요.\n"
                    "- 순서가 중요하면 본문의 occurred_at을 비교하거나, 이벤트를 신호로만 쓰고 GET "
                    "/v1/orders/{{id}} 로 현재 상태를 다시 읽어 주세요.\n"
                    "중복 적립된 포인트는 관리자 화면의 [고객 > 포인트 > 일괄 회수]로 되돌릴 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    ("Duplicate webhooks for {order}", "order.paid arrived twice and our ERP now has two orders."),
                    ("Are webhooks ordered?", "Sometimes order.shipped comes before order.paid."),
                ),
                answer=(
                    "Webhooks are delivered at least once, in no guaranteed order.\n"
                    "- Keep the event_id and skip what you have handled.\n"
                    "- Where order matters compare occurred_at, or take the event as a hint and read GET "
                    "/v1/orders/{{id}} again."
                ),
            ),
        },
    ),
    Family(
        name="oauth-expired",
        area="developer",
        kind="Incident",
        priority=3,
        tags=("api", "oauth", "E-1015"),
        product="Ondam API",
        note=(
            "리프레시 토큰 회전 방식. 옛 토큰 재사용이 감지되면 전체 무효화(E-1015). 멀티 "
            "인스턴스에서 동시에 갱신하는 고객사가 많음."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "토큰 갱신 실패 E-1015",
                        "액세스 토큰을 갱신하면 E-1015 invalid_grant 가 나옵니다. 매번 다시 로그인해야 하나요?",
                    ),
                    (
                        "OAuth 연동이 하루에 한 번씩 끊깁니다",
                        "연동 앱을 서버 {count}대에서 운영 중인데 자꾸 인증이 풀립니다. E-1015 오류입니다.",
                    ),
                    ("리프레시 토큰 유효기간", "리프레시 토큰은 얼마나 유효한가요? 문서에서 찾지 못했습니다."),
                ),
                answer=(
                    "리프레시 토큰은 30일 동안 유효하며 한 번 쓰면 새 토큰으로 바뀝니다. 이미 쓴 토큰을 "
                    "다시 쓰면 안전을 위해 연동 전체가 해제되고 E-1015가 반환됩니다.\n"
                    "1. 갱신 응답의 refresh_token을 반드시 새 값으로 저장해 주세요.\n"
                    "2. 서버가 여러 대라면 갱신은 한 곳에서만 하도록 잠금(lock)을 두고 토큰을 공유해 "
                    "주세요.\n"
                    "3. 해제된 연동은 [개발자 > 연동 앱 > 다시 승인]에서 한 번만 승인하시면 됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "invalid_grant E-1015 on refresh",
                        "Refreshing the access token fails with E-1015 about once a day. We run {count} instances.",
                    ),
                    ("How long do refresh tokens live?", "I could not find it in the documentation."),
                ),
                answer=(
                    "A refresh token lives for 30 days and is replaced each time it is used. Using an old "
                    "one again revokes the whole connection (E-1015).\n"
                    "1. Store the new refresh_token of every answer.\n"
                    "2. With several instances, let one refresh under a lock and share the token.\n"
                    "3. Approve the app once more under Developer > Connected apps."
                ),
            ),
        },
    ),
    Family(
        name="api-pagination",
        area="developer",
        kind="Question",
        priority=1,
        tags=("api", "pagination"),
        product="Ondam API",
        note="offset 방식은 2027년 1월 종료 예정(공지 전). 고객에게는 cursor 사용만 권장하고 종료 일정은 언급 금지.",
        sides={
            "ko": Side(
                said=(
                    (
                        "주문 목록 API가 1만 건까지만 나와요",
                        "page=101 부터 E-2204 오류가 납니다. 전체 주문을 가져올 방법이 있나요?",
                    ),
                    (
                        "페이지 넘길 때 주문이 빠집니다",
                        "목록을 페이지별로 읽는 동안 새 주문이 들어오면 일부가 누락되거나 중복됩니다.",
                    ),
                    ("대량 조회", "지난 1년치 주문을 API로 내려받고 싶습니다. 권장 방법 알려 주세요."),
                ),
                answer=(
                    "page 방식은 1만 건까지만 지원합니다(E-2204). 전체를 읽을 때는 커서를 사용해 주세요.\n"
                    "1. GET /v1/orders?sort=updated_at&limit=100 을 호출합니다.\n"
                    "2. 응답의 next_cursor를 다음 요청의 cursor에 넣습니다. 비어 있으면 끝입니다.\n"
                    "3. 다음 날부터는 updated_after에 마지막 updated_at을 넣어 바뀐 것만 읽습니다. 경계의 "
                    "주문은 다시 올 수 있으니 주문번호로 중복을 걸러 주세요."
                ),
            ),
            "en": Side(
                said=(
                    ("Cannot list more than 10,000 orders", "E-2204 from page 101 on. How do we read everything?"),
                    ("Orders skipped while paging", "New orders shift the pages, so that we miss some."),
                ),
                answer=(
                    "Paging by number ends at 10,000 rows (E-2204). Use cursors.\n"
                    "1. GET /v1/orders?sort=updated_at&limit=100\n"
                    "2. Pass next_cursor as cursor until it is empty.\n"
                    "3. Later, read only changes with updated_after; the bound is inclusive, so drop "
                    "duplicates by order number."
                ),
            ),
        },
    ),
    Family(
        name="ip-allowlist",
        area="developer",
        kind="Incident",
        priority=3,
        tags=("api", "security", "E-1203"),
        product="Ondam API",
        note="허용 IP 목록은 소유자만 수정 가능. 우리 쪽 웹훅 발신 IP 대역이 11월 15일 추가됨(203.0.113.64/27).",
        sides={
            "ko": Side(
                said=(
                    (
                        "E-1203 허용되지 않은 IP",
                        "서버를 이전했더니 API가 전부 E-1203 으로 막힙니다. 새 서버 IP는 {ip} 입니다.",
                    ),
                    ("웹훅 발신 IP 문의", "방화벽에 등록해야 해서 온담이 웹훅을 보내는 IP 대역을 알려 주세요."),
                    (
                        "API 차단",
                        (
                            "갑자기 403 이 나옵니다. 오류 코드는 E-1203 이고 바꾼 것이 없습니다. 인터넷 회선이 "
                            "바뀐 것과 관련 있나요?"
                        ),
                    ),
                ),
                answer=(
                    "E-1203은 API 키에 등록된 허용 IP가 아닌 곳에서 호출할 때 반환됩니다.\n"
                    "1. 소유자 계정으로 [개발자 > API 키 > 허용 IP]에 새 주소를 추가해 주세요. 1분 안에 "
                    "적용됩니다.\n"
                    "2. 유동 IP를 쓰는 회선이라면 고정 IP 서버를 거치도록 구성하시는 것을 권장합니다.\n"
                    "3. 저희 웹훅은 203.0.113.32/27과 203.0.113.64/27에서 발송되니 방화벽에 두 대역을 "
                    "모두 등록해 주세요."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "E-1203 IP not allowed",
                        "After moving to a new server ({ip}) all API calls are refused with E-1203.",
                    ),
                    ("Which IPs do webhooks come from?", "Our firewall team needs the ranges."),
                ),
                answer=(
                    "E-1203 means the call comes from an address that is not on the key's list.\n"
                    "1. The owner adds it under Developer > API keys > Allowed addresses; it works within "
                    "a minute.\n"
                    "2. With a changing address, go through a server with a fixed one.\n"
                    "3. Webhooks come from 203.0.113.32/27 and 203.0.113.64/27; allow both."
                ),
            ),
        },
    ),
    Family(
        name="channel-disconnected",
        area="developer",
        kind="Incident",
        priority=3,
        tags=("integration", "marketplace"),
        product="Ondam Orders",
        note=(
            "스토어 API 버전 종료(2026-09)로 구버전 연동 앱 일괄 해제됨. 재연동 시 '판매자 등급' "
            "권한까지 체크해야 정산이 수집됨."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "쇼핑몰 연동이 해제됐습니다",
                        (
                            "자사몰 연동이 갑자기 해제되었다는 메일을 받았습니다. 다시 연결하면 기존 상품 연결이 "
                            "사라지나요?"
                        ),
                    ),
                    (
                        "채널 연동 오류 CH-220",
                        "판매 채널을 추가하는데 CH-220 권한 부족이라고 나옵니다. 관리자 계정으로 로그인했습니다.",
                    ),
                    (
                        "정산 내역이 안 들어와요",
                        "연동은 되어 있는데 정산만 수집되지 않습니다. {date} 이후로 비어 있어요.",
                    ),
                ),
                answer=(
                    "쇼핑몰의 연동 방식이 바뀌어 예전 앱의 권한이 해제된 상태입니다.\n"
                    "1. [판매 채널 > 다시 연동]에서 쇼핑몰의 대표 운영자 계정으로 로그인합니다. "
                    "부운영자는 CH-220이 나옵니다.\n"
                    "2. 권한 동의 화면에서 '주문', '상품', '정산'을 모두 선택합니다.\n"
                    "3. 같은 쇼핑몰로 다시 연결하면 기존 상품 연결은 그대로 유지됩니다.\n"
                    "4. 비어 있는 기간의 정산은 '정산 재수집'으로 최대 3개월까지 가져올 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Shop integration disconnected",
                        (
                            "We got a mail that the connection to our shop ended. Do we lose the product links "
                            "when we reconnect?"
                        ),
                    ),
                    ("CH-220 missing permission", "Adding a channel fails with CH-220 although I am an administrator."),
                ),
                answer=(
                    "The shop platform changed how apps connect, and revoked the old permissions.\n"
                    "1. Choose Sales channels > Reconnect and sign in as the shop's main operator; "
                    "sub-operators get CH-220.\n"
                    "2. Agree to orders, products and settlements.\n"
                    "3. Product links stay as they are.\n"
                    "4. 'Collect settlements again' fills up to three months."
                ),
            ),
        },
    ),
    Family(
        name="sandbox",
        area="developer",
        kind="Question",
        priority=1,
        tags=("api", "sandbox"),
        product="Ondam API",
        note="샌드박스는 매주 일요일 04시에 초기화. 파트너사 요청 시 영구 샌드박스 발급 가능(파트너팀).",
        sides={
            "ko": Side(
                said=(
                    (
                        "테스트 환경이 있나요?",
                        "API 연동 개발 중인데 실제 주문에 영향을 주지 않고 테스트할 수 있는 환경이 필요합니다.",
                    ),
                    (
                        "샌드박스 데이터가 사라졌어요",
                        "지난주에 만든 테스트 주문이 전부 없어졌습니다. 복구할 수 있나요?",
                    ),
                    ("샌드박스 키로 E-1042", "샌드박스 키로 호출하면 E-1042 가 나옵니다. 운영 키는 잘 됩니다."),
                ),
                answer=(
                    "샌드박스는 https://sandbox.ondam.example 이며 [개발자 > 샌드박스]에서 별도의 키를 "
                    "발급합니다.\n"
                    "- 운영 키와 샌드박스 키는 서로 쓸 수 없습니다. 주소와 키가 다르면 E-1042가 나옵니다.\n"
                    "- 데이터는 매주 일요일 오전 4시에 초기화되고 복구되지 않습니다. 필요한 테스트 "
                    "데이터는 시드 스크립트로 만들어 두시길 권합니다.\n"
                    "- 결제와 알림톡은 실제로 발송되지 않습니다."
                ),
            ),
            "en": Side(
                said=(
                    ("Is there a test environment?", "We develop an integration and must not touch real orders."),
                    ("Sandbox data is gone", "All test orders of last week disappeared."),
                ),
                answer=(
                    "The sandbox is https://sandbox.ondam.example; get a key of its own under Developer > "
                    "Sandbox.\n"
                    "- Keys work in one environment only; the other answers E-1042.\n"
                    "- Its data is reset every Sunday at 4 am and cannot be restored.\n"
                    "- Payments and messages are not sent."
                ),
            ),
        },
    ),
)
