"""Problems with orders, stock and delivery."""

from backend.simulator.freshdesk.content.family import Family, Side

FAMILIES = (
    Family(
        name="tracking-not-updating",
        area="order",
        kind="Incident",
        priority=2,
        tags=("delivery", "tracking"),
        product="Ondam Orders",
        note=(
            "택배사 API 지연 여부를 상태판에서 먼저 확인. 집화 미처리면 고객 과실이 아니라 기사 "
            "미스캔. 48시간 넘으면 택배사 사고 접수."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "송장번호가 조회되지 않습니다",
                        (
                            "주문 {order} 송장 {track} 이 이틀째 '정보 없음'으로 나옵니다. 구매자 문의가 계속 "
                            "와서 곤란합니다."
                        ),
                    ),
                    (
                        "배송 상태가 안 바뀌어요",
                        (
                            "어제 출고한 {count}건이 아직도 '배송 준비 중'입니다. 택배사 홈페이지에서는 배송 "
                            "중으로 나옵니다."
                        ),
                    ),
                    (
                        "배송조회 오류",
                        (
                            "고객이 배송조회를 누르면 다른 사람 배송이 나온다고 합니다. 송장 {track} 확인해 "
                            "주세요. 개인정보 유출 아닌가요?"
                        ),
                    ),
                ),
                ask="사용하시는 택배사와, 송장을 온담에서 발급하셨는지 직접 입력하셨는지 알려 주세요.",
                reply="온담에서 발급했고 어제 오후 5시에 출력했습니다.",
                answer=(
                    "택배 기사님이 집화 때 스캔하지 않아 택배사에 접수 정보가 없던 상태였습니다. 택배사에 "
                    "확인하여 정상 처리되었습니다.\n"
                    "- 온담은 택배사 상태를 30분마다 가져옵니다. 바로 확인하려면 주문 상세의 '배송 상태 "
                    "새로고침'을 눌러 주세요.\n"
                    "- 24시간이 지나도 '정보 없음'이면 [배송 > 미집화 목록]에서 '택배사 확인 요청'을 "
                    "누르시면 저희가 대신 접수합니다.\n"
                    "- 택배사는 송장번호를 약 1년 뒤 재사용하므로 오래된 번호는 다른 배송으로 보일 수 "
                    "있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Tracking number {track} not found",
                        "Order {order} was shipped two days ago, but tracking says 'no information'.",
                    ),
                    (
                        "Delivery status stuck",
                        "{count} parcels are still 'preparing' while the carrier's site says 'in transit'.",
                    ),
                ),
                answer=(
                    "The courier did not scan the parcels at pick-up. We asked the carrier and the status "
                    "is right now.\n"
                    "- We read the carrier's status every 30 minutes; 'Refresh delivery status' on the "
                    "order does it at once.\n"
                    "- After 24 hours without information choose Delivery > Not picked up > Ask the "
                    "carrier.\n"
                    "- Carriers reuse tracking numbers after about a year, so an old number may show "
                    "another parcel."
                ),
            ),
        },
    ),
    Family(
        name="label-printing",
        area="order",
        kind="Incident",
        priority=3,
        tags=("delivery", "label", "printer"),
        product="Ondam Orders",
        note=(
            "라벨 프린터 에이전트 2.3.x에서 윈도우 11 24H2 드라이버 충돌. 2.4.1로 업데이트하면 "
            "해결. 원격 지원은 오후 2시 이후만 가능."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "송장 출력이 안 됩니다",
                        (
                            "송장 출력을 누르면 'PRT-03 프린터를 찾을 수 없습니다'라고 나옵니다. 프린터는 켜져 "
                            "있고 테스트 인쇄는 됩니다."
                        ),
                    ),
                    (
                        "송장이 밀려서 나와요",
                        "라벨이 위로 2cm 정도 밀려서 바코드가 잘립니다. 용지는 100x150 쓰고 있습니다.",
                    ),
                    (
                        "라벨 프린터 고장인가요",
                        "윈도우 업데이트 이후로 송장이 백지로 나옵니다. 오늘 {count}건 출고해야 합니다 ㅠㅠ",
                    ),
                ),
                ask="프린터 모델과 작업 표시줄의 '온담 출력 도우미' 버전을 알려 주세요.",
                reply="도우미는 2.3.0 이고 프린터는 감열식 4인치입니다.",
                answer=(
                    "윈도우 업데이트 이후 예전 버전의 출력 도우미(2.3.x)가 프린터를 찾지 못하는 "
                    "문제입니다.\n"
                    "1. [설정 > 출력]에서 온담 출력 도우미 2.4.1을 내려받아 설치합니다.\n"
                    "2. 도우미를 다시 시작하고 프린터를 '기본 프린터'로 지정합니다.\n"
                    "3. 용지를 100x150mm, 여백 0으로 맞추고 '위치 보정'에서 테스트 라벨을 출력합니다.\n"
                    "PRT-03은 도우미가 꺼져 있을 때, 백지 출력은 드라이버가 일반 텍스트일 때 나타납니다."
                ),
            ),
            "en": Side(
                said=(
                    ("PRT-03 printer not found", "Labels don't print, error PRT-03, but the Windows test page works."),
                    (
                        "Labels are blank after update",
                        "Since the Windows update on {date} all labels come out blank. {count} parcels are waiting.",
                    ),
                ),
                answer=(
                    "The print helper 2.3.x does not find printers after the Windows update.\n"
                    "1. Install Ondam Print Helper 2.4.1 from Settings > Printing.\n"
                    "2. Restart it and make the label printer the default.\n"
                    "3. Set the paper to 100 x 150 mm without margins, then print a test label under "
                    "'Adjust position'.\n"
                    "PRT-03 means the helper is not running; blank labels mean the generic text driver is "
                    "in use."
                ),
            ),
        },
    ),
    Family(
        name="wrong-address",
        area="order",
        kind="Question",
        priority=3,
        tags=("delivery", "address"),
        product="Ondam Orders",
        note="집화 전이면 주소 수정 가능, 집화 후에는 택배사 경유지 변경(건당 3,000원). 도서산간 추가 운임 확인.",
        sides={
            "ko": Side(
                said=(
                    (
                        "배송지 변경 부탁드려요",
                        (
                            "주문 {order} 의 배송지를 잘못 입력했습니다. 아직 출고 전이면 변경해 주세요. 받는 분 "
                            "{buyer}, {phone} 입니다."
                        ),
                    ),
                    ("주소 오류로 반송됐어요", "동호수가 빠져서 반송되었습니다. 재발송하려면 운임을 또 내야 하나요?"),
                    (
                        "출고 후 주소 변경",
                        "이미 출고된 건인데 받는 분이 이사를 갔다고 합니다. 송장 {track} 주소를 바꿀 수 있을까요?",
                    ),
                ),
                answer=(
                    "출고 상태에 따라 방법이 다릅니다.\n"
                    "- 집화 전: 주문 상세에서 '배송지 수정' 후 송장을 다시 출력하시면 됩니다. 이전 송장은 "
                    "자동으로 취소됩니다.\n"
                    "- 집화 후: [배송 > 배송지 변경 요청]으로 접수하면 택배사가 경유지를 바꾸며 건당 "
                    "3,000원이 부과됩니다.\n"
                    "- 반송된 경우: '재발송'을 누르면 새 송장이 발급되고, 주소 오류로 인한 왕복 운임은 "
                    "판매자 부담입니다.\n"
                    "주소 자동 검증을 켜 두시면 동호수가 빠진 주문을 출고 전에 알려 드립니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Change delivery address of {order}",
                        "The buyer gave a wrong flat number. Can the address still be changed?",
                    ),
                    (
                        "Parcel returned: incomplete address",
                        (
                            "Parcel {track} came back because the unit number was missing. Who pays for the "
                            "second delivery?"
                        ),
                    ),
                ),
                answer=(
                    "It depends on where the parcel is.\n"
                    "- Before pick-up: 'Edit address' on the order, then print the label again; the old "
                    "one is cancelled.\n"
                    "- After pick-up: Delivery > Request address change, KRW 3,000 a parcel.\n"
                    "- Returned: 'Ship again' makes a new label; the sender pays when the address was "
                    "wrong.\n"
                    "Switch on the address check and orders without a unit number are flagged before "
                    "shipping."
                ),
            ),
        },
    ),
    Family(
        name="orders-missing",
        area="order",
        kind="Incident",
        priority=4,
        tags=("order-sync", "marketplace"),
        product="Ondam Orders",
        note=(
            "마켓 인증 토큰 만료(90일)로 수집 중단. 수집 로그에 401 반복. 재연동 후 '누락 주문 "
            "재수집'을 7일 범위로 실행."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "주문이 수집되지 않아요",
                        (
                            "오늘 아침부터 오픈마켓 주문이 하나도 안 들어옵니다. 마켓 관리자에는 신규 주문이 "
                            "{count}건 있습니다."
                        ),
                    ),
                    (
                        "[긴급] 주문 누락",
                        (
                            "{date} 주문 중 일부가 온담에 없습니다. 예를 들면 {order} 입니다. 출고 지연 페널티를 "
                            "받게 생겼어요."
                        ),
                    ),
                    ("주문 수집 오류 SYNC-401", "수집 버튼을 누르면 SYNC-401 이 나옵니다. 뭘 해야 하나요?"),
                ),
                ask="어느 판매 채널인지, 최근에 해당 마켓의 비밀번호를 바꾸셨는지 알려 주세요.",
                reply="네 지난주에 마켓 비밀번호를 바꿨습니다. 채널은 오픈마켓 한 곳이에요.",
                answer=(
                    "마켓 비밀번호를 바꾸면 기존 연동 인증이 끊겨 SYNC-401이 발생합니다.\n"
                    "1. [판매 채널 > 해당 마켓 > 다시 연동]을 눌러 새 비밀번호로 로그인합니다.\n"
                    "2. '누락 주문 재수집'에서 기간을 최근 7일로 선택합니다. 이미 수집된 주문은 중복되지 "
                    "않습니다.\n"
                    "3. 수집 알림을 켜 두시면 30분 이상 수집이 멈출 때 알림톡으로 알려 드립니다.\n"
                    "방금 재수집을 실행하여 누락된 주문이 모두 들어온 것을 확인했습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Orders missing since this morning",
                        "No marketplace orders come in. The marketplace shows {count} new ones.",
                    ),
                    (
                        "SYNC-401 when collecting orders",
                        "Order {order} and others never arrived. We risk penalties for late shipping.",
                    ),
                ),
                ask="Which channel is it, and was its password changed recently?",
                reply="Yes, we changed the marketplace password last week.",
                answer=(
                    "Changing a marketplace password ends the connection (SYNC-401).\n"
                    "1. Choose Sales channels > the marketplace > Reconnect.\n"
                    "2. Run 'Collect missing orders' for the last 7 days; nothing is taken twice.\n"
                    "3. Switch on the alert that tells you when collecting stops for 30 minutes.\n"
                    "I ran it just now and the missing orders are there."
                ),
            ),
        },
    ),
    Family(
        name="stock-mismatch",
        area="order",
        kind="Problem",
        priority=3,
        tags=("stock", "inventory"),
        product="Ondam Orders",
        note="옵션 매핑이 같은 SKU에 두 번 걸려 있으면 재고가 두 번 차감됨. SKU 매핑 점검 쿼리는 런북 RB-07 참고.",
        sides={
            "ko": Side(
                said=(
                    (
                        "재고 수량이 실제와 다릅니다",
                        "실사 재고는 {count}개인데 온담에는 0개로 나와서 품절 처리됐습니다. 원인을 알고 싶습니다.",
                    ),
                    ("재고가 두 번씩 빠져요", "주문 하나에 재고가 2개씩 차감됩니다. {order} 건 확인해 보세요."),
                    ("품절인데 주문이 들어왔어요", "재고 0인 상품이 마켓에서 계속 팔립니다. 재고 연동이 늦는 건가요?"),
                ),
                ask="문제가 되는 상품의 SKU와 옵션 이름을 하나만 알려 주세요.",
                reply="SKU는 HN-220-BK 이고 옵션은 '블랙/220' 입니다.",
                answer=(
                    "하나의 SKU에 같은 옵션이 두 번 연결되어 주문마다 재고가 두 번 차감되고 있었습니다.\n"
                    "1. [상품 > 옵션 연결]에서 'SKU 중복'으로 거르면 중복 연결이 보입니다.\n"
                    "2. 중복된 연결을 해제하고 [재고 > 실사 반영]으로 실제 수량을 입력합니다.\n"
                    "3. 마켓 재고는 최대 10분 뒤에 맞춰집니다. 초과 판매가 걱정되시면 '안전 재고'를 2개 "
                    "이상으로 설정해 주세요."
                ),
            ),
            "en": Side(
                said=(
                    ("Stock is decremented twice", "Every order takes two pieces off the stock, e.g. {order}."),
                    (
                        "Oversold although stock is zero",
                        "The marketplace keeps selling an item with stock 0. Is the sync delayed?",
                    ),
                ),
                answer=(
                    "The same option was linked twice to one SKU, so each order counted twice.\n"
                    "1. Products > Option links, filter 'duplicate SKU'.\n"
                    "2. Remove the duplicate and enter the counted quantity under Stock > Stocktaking.\n"
                    "3. Marketplaces follow within 10 minutes; set a safety stock of 2 or more against "
                    "overselling."
                ),
            ),
        },
    ),
    Family(
        name="return-pickup",
        area="order",
        kind="Question",
        priority=2,
        tags=("return", "exchange", "delivery"),
        product="Ondam Orders",
        note="회수 접수 후 2영업일 내 미방문이면 택배사 재접수. 교환은 회수 완료 전에 선출고 금지(고객사 설정에 따름).",
        sides={
            "ko": Side(
                said=(
                    (
                        "반품 회수 기사님이 안 오세요",
                        "주문 {order} 반품 접수한 지 4일째인데 수거를 안 해 갑니다. 구매자가 화가 많이 났습니다.",
                    ),
                    (
                        "교환 접수 방법",
                        "사이즈 교환을 요청받았는데 온담에서 교환은 어떻게 처리하나요? 배송비는 누가 내나요?",
                    ),
                    ("반품 배송비 설정", "반품 배송비가 8,000원으로 잘못 나갑니다. 5,000원으로 바꾸고 싶어요."),
                ),
                answer=(
                    "회수가 이틀 넘게 지연되어 택배사에 다시 접수했고, 내일까지 방문할 예정입니다.\n"
                    "1. 반품·교환은 주문 상세의 '반품 접수' 또는 '교환 접수'에서 사유를 고르면 회수 "
                    "송장이 자동으로 발급됩니다.\n"
                    "2. 단순 변심은 구매자, 상품 불량과 오배송은 판매자가 배송비를 부담합니다.\n"
                    "3. 반품 배송비는 [설정 > 배송 > 반품·교환]에서 바꿀 수 있고, 변경 이후의 접수 건부터 "
                    "적용됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Return pick-up did not happen",
                        "The pick-up for {order} was requested four days ago. The buyer is getting angry.",
                    ),
                    (
                        "How do exchanges work?",
                        "A buyer wants another size. How do we handle this and who pays the shipping?",
                    ),
                ),
                answer=(
                    "The pick-up was late, so I requested it again for tomorrow.\n"
                    "1. 'Register return' or 'Register exchange' on the order makes the return label.\n"
                    "2. The buyer pays for a change of mind, the seller for defects and wrong items.\n"
                    "3. The fee is set under Settings > Delivery > Returns and holds for later requests."
                ),
            ),
        },
    ),
    Family(
        name="bulk-upload",
        area="order",
        kind="Question",
        priority=2,
        tags=("excel", "upload", "products"),
        product="Ondam Orders",
        note="양식 v5부터 '과세구분' 열이 필수. 엑셀 97(.xls)은 지원 종료. 오류 파일 다운로드 링크를 안내할 것.",
        sides={
            "ko": Side(
                said=(
                    (
                        "엑셀 대량등록 오류",
                        (
                            "상품 {count}개를 엑셀로 올렸는데 'UPL-12 필수 열이 없습니다'라고 나옵니다. 지난달 "
                            "양식 그대로 썼어요."
                        ),
                    ),
                    ("엑셀 업로드가 중간에 멈춰요", "송장 일괄 등록 파일을 올리면 60%에서 멈춥니다. 파일 첨부합니다."),
                    (
                        "상품 일괄 수정",
                        "가격만 한꺼번에 바꾸고 싶은데 엑셀로 가능한가요? 다른 항목은 건드리고 싶지 않습니다.",
                    ),
                ),
                answer=(
                    "10월부터 등록 양식이 v5로 바뀌면서 '과세구분' 열이 필수가 되었습니다(UPL-12).\n"
                    "1. [상품 > 대량등록 > 양식 내려받기]에서 새 양식을 받아 주세요.\n"
                    "2. 파일은 .xlsx 형식, 한 번에 5,000행까지 올릴 수 있습니다. 더 많으면 나누어 주세요.\n"
                    "3. 일부만 수정할 때는 '선택 열만 수정'을 고르고 상품코드와 바꿀 열만 남기면 됩니다.\n"
                    "실패한 행은 '오류 파일'로 내려받아 고친 뒤 그대로 다시 올리시면 됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "UPL-12 required column missing",
                        "The template from last month fails with UPL-12 for all {count} products.",
                    ),
                    ("Bulk price change by Excel", "Can we change only the prices of many products at once?"),
                ),
                answer=(
                    "Since October the template is v5, with the required column 'Tax type' (UPL-12).\n"
                    "1. Download the new template under Products > Bulk upload.\n"
                    "2. Files are .xlsx with up to 5,000 rows.\n"
                    "3. For a partial change choose 'Only these columns' and keep the product code and "
                    "the columns to change.\n"
                    "Rows that failed can be downloaded, corrected and uploaded again."
                ),
            ),
        },
    ),
    Family(
        name="customs-number",
        area="order",
        kind="Question",
        priority=2,
        tags=("customs", "overseas"),
        product="Ondam Orders",
        note=(
            "개인통관고유부호(P+12자리) 불일치 시 통관 보류. 수취인 이름·전화번호와 관세청 등록 "
            "정보가 같아야 함. 부호는 티켓에 남기지 말 것."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "통관번호 오류로 보류 중이래요",
                        (
                            "해외 구매대행 주문 {order} 가 통관 보류되었습니다. 개인통관고유부호가 안 맞는다고 "
                            "하는데 구매자는 맞다고 합니다."
                        ),
                    ),
                    (
                        "개인통관고유부호 수정",
                        (
                            "구매자가 통관부호를 잘못 입력했습니다. 이미 발송했는데 수정할 수 있나요? 받는 분 "
                            "{buyer} 님입니다."
                        ),
                    ),
                    ("해외배송 송장 등록", "배송대행지에서 받은 영문 송장번호는 어디에 등록하나요?"),
                ),
                answer=(
                    "통관 보류는 개인통관고유부호와 수취인의 이름·전화번호가 관세청 등록 정보와 다를 때 "
                    "발생합니다.\n"
                    "1. 구매자에게 관세청 사이트에서 부호와 등록된 전화번호를 확인하도록 안내해 주세요.\n"
                    "2. 주문 상세의 '통관 정보 수정'에 새 부호를 입력하면 특송업체로 자동 전달됩니다.\n"
                    "3. 이미 입항한 건은 특송업체 고객센터에 직접 정정을 요청해야 합니다.\n"
                    "해외 송장은 '해외 운송장' 칸에 입력하면 국내 송장과 함께 추적됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Parcel held at customs",
                        (
                            "Order {order} is held since the personal customs code does not match, though the "
                            "buyer says it is right."
                        ),
                    ),
                    ("Where do I enter an international tracking number?", "Our forwarder gave us {track}."),
                ),
                answer=(
                    "Customs holds a parcel when the personal customs code, the name and the phone number "
                    "differ from what is registered.\n"
                    "1. Ask the buyer to check all three on the customs service's site.\n"
                    "2. Enter the right code under 'Edit customs details' on the order; the courier gets "
                    "it at once.\n"
                    "3. If the parcel has already landed, the courier has to be asked directly.\n"
                    "International numbers go into 'Overseas tracking'."
                ),
            ),
        },
    ),
)
