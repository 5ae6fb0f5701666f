"""Problems with payments, plans and invoices."""

from backend.simulator.freshdesk.content.family import Family, Side

FAMILIES = (
    Family(
        name="double-charge",
        area="billing",
        kind="Refund",
        priority=3,
        tags=("billing", "double-charge", "refund"),
        product="Ondam Billing",
        note=(
            "PG 콘솔에서 같은 invoice에 승인 2건 확인. 재시도 로직 중복(BE-1420). 뒤 승인 건을 "
            "취소하고 월말 대사표에 기록할 것."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "이용료가 두 번 결제되었습니다",
                        (
                            "{date}에 {amount}원이 두 번 결제됐어요. 카드번호 {card} 이고 승인 문자도 두 개 "
                            "받았습니다. 한 건 취소해 주세요."
                        ),
                    ),
                    (
                        "중복 결제 환불 요청",
                        (
                            "11월 구독료가 중복 청구되었습니다. 청구서는 {invoice} 하나인데 카드 명세서에는 같은 "
                            "금액이 두 건입니다."
                        ),
                    ),
                    (
                        "카드값 왜 두 번 나갔나요???",
                        (
                            "결제 버튼 눌렀는데 오류가 나서 한 번 더 눌렀더니 {amount}원이 두 번 빠져나갔습니다. "
                            "빨리 돌려주세요."
                        ),
                    ),
                ),
                ask=(
                    "확인을 위해 카드 명세서에 찍힌 두 건의 승인번호(8자리)만 알려 주세요. 카드번호 "
                    "전체는 보내지 않으셔도 됩니다."
                ),
                reply="30214577 이랑 30214602 입니다.",
                answer=(
                    "확인해 보니 결제 응답이 늦어지면서 같은 청구서가 두 번 승인되었습니다. 뒤에 승인된 "
                    "건을 오늘 취소했습니다.\n"
                    "- 신용카드는 영업일 기준 3~5일, 체크카드는 최대 7일 안에 카드사에서 취소됩니다.\n"
                    "- 취소 영수증은 [설정 > 결제 > 결제 내역]에서 내려받으실 수 있습니다.\n"
                    "불편을 드려 죄송합니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Charged twice for the same invoice",
                        (
                            "My card {card} was charged KRW {amount} twice on {date}, but there is only one "
                            "invoice {invoice}. Please refund one of them."
                        ),
                    ),
                    (
                        "Duplicate payment",
                        (
                            "The checkout showed an error so I tried again. Now I see two identical charges on my "
                            "statement."
                        ),
                    ),
                ),
                ask=(
                    "Could you send the two approval numbers on your statement? The last four digits of "
                    "the card are enough."
                ),
                reply="30214577 and 30214602, card ending in 1111.",
                answer=(
                    "The payment provider answered late, and our retry charged the same invoice again. I "
                    "cancelled the second charge today.\n"
                    "- Credit cards show it within 3 to 5 working days, debit cards within 7.\n"
                    "- The receipt of the cancellation is under Settings > Billing > Payments."
                ),
            ),
        },
    ),
    Family(
        name="refund-delay",
        area="billing",
        kind="Refund",
        priority=2,
        tags=("refund",),
        product="Ondam Billing",
        note="환불 접수 후 PG 정산 주기(D+2) 때문에 지연. 7일 넘으면 재무팀 김하린에게 개별 문의.",
        sides={
            "ko": Side(
                said=(
                    (
                        "환불이 아직 안 들어왔어요",
                        "{date}에 환불 처리되었다는 안내를 받았는데 아직 입금이 안 됐습니다. 금액은 {amount}원입니다.",
                    ),
                    ("환불 언제 되나요", "주문 {order} 건 환불 신청한 지 일주일이 넘었습니다. 진행 상황 알려 주세요."),
                    (
                        "환불 계좌 변경 요청",
                        "환불받을 계좌를 잘못 적었습니다. 변경 가능한가요? 급하니 {phone} 으로 연락 부탁드립니다.",
                    ),
                ),
                answer=(
                    "환불 상태를 확인했습니다. 저희 쪽 처리는 완료되었고 카드사에서 매입 취소를 진행하고 "
                    "있습니다.\n"
                    "- 신용카드: 영업일 3~5일, 다음 결제일 청구 금액에서 차감될 수 있습니다.\n"
                    "- 체크카드: 영업일 3~7일 안에 계좌로 입금됩니다.\n"
                    "- 계좌이체: 영업일 2일 안에 입금되며, 계좌 변경은 '환불 준비' 단계까지만 가능합니다.\n"
                    "7일이 지나도 확인되지 않으면 이 메일에 회신해 주세요. 취소 승인번호를 보내 "
                    "드리겠습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Refund not received",
                        "You confirmed my refund of KRW {amount} on {date} but my bank shows nothing yet.",
                    ),
                    ("Where is my refund for {order}?", "It has been more than a week since the refund was approved."),
                ),
                answer=(
                    "The refund left our side; your card company is working on it.\n"
                    "- Credit card: 3 to 5 working days, sometimes as a deduction from the next bill.\n"
                    "- Debit card: 3 to 7 working days.\n"
                    "- Bank transfer: 2 working days.\n"
                    "If it is not there after 7 days, reply to this message and I will send you the "
                    "cancellation number to show to your bank."
                ),
            ),
        },
    ),
    Family(
        name="card-declined",
        area="billing",
        kind="Incident",
        priority=3,
        tags=("billing", "card"),
        product="Ondam Billing",
        note=(
            "PG 응답 코드 51=한도 초과, 14=카드번호 오류, 61=해외 결제 차단. 3회 실패하면 14일 뒤 "
            "읽기 전용으로 전환되니 유예 요청 시 팀장 승인."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "자동결제가 실패했다고 나옵니다",
                        (
                            "구독료 자동결제 실패 메일을 받았습니다. 카드에는 문제가 없는데 왜 실패했나요? 오류 "
                            "코드는 PAY-51 입니다."
                        ),
                    ),
                    (
                        "결제 카드 변경이 안 됩니다",
                        "새 카드 {card} 를 등록하려고 하면 PAY-14 오류가 나옵니다. 번호는 맞게 입력했습니다.",
                    ),
                    (
                        "서비스가 읽기 전용으로 바뀌었어요",
                        (
                            "결제가 안 됐다며 주문 수집이 멈췄습니다. 카드 한도는 올려 두었으니 다시 결제해 "
                            "주세요. 오늘 주문이 {count}건 밀려 있습니다."
                        ),
                    ),
                ),
                answer=(
                    "결제사에서 받은 코드로 확인해 드립니다.\n"
                    "- PAY-51: 한도 초과입니다. 한도를 조정하신 뒤 [설정 > 결제 > 다시 결제]를 눌러 "
                    "주세요.\n"
                    "- PAY-14: 카드번호 또는 유효기간이 맞지 않습니다. 법인카드는 사업자번호 10자리를 "
                    "함께 입력해야 합니다.\n"
                    "- PAY-61: 해외 결제가 차단된 카드입니다. 카드사에 해제를 요청해 주세요.\n"
                    "결제가 확인되면 5분 안에 읽기 전용이 자동으로 풀리고, 멈춘 동안의 주문도 모두 "
                    "수집됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Payment failed PAY-51",
                        "The automatic payment failed with PAY-51 although the card works elsewhere.",
                    ),
                    (
                        "Workspace is read-only",
                        (
                            "Orders are not collected any more since the card was declined on {date}. I added a "
                            "new card, please retry."
                        ),
                    ),
                ),
                answer=(
                    "The codes come from the payment provider.\n"
                    "- PAY-51: over the limit. Raise it, then choose Settings > Billing > Pay again.\n"
                    "- PAY-14: number or expiry do not match; company cards need the 10-digit business "
                    "number.\n"
                    "- PAY-61: payments abroad are blocked by your bank.\n"
                    "Five minutes after a successful payment the workspace is writable again and collects "
                    "everything it missed."
                ),
            ),
        },
    ),
    Family(
        name="tax-invoice",
        area="billing",
        kind="Question",
        priority=2,
        tags=("tax-invoice", "billing"),
        product="Ondam Billing",
        note=(
            "전자세금계산서 수정 발행은 국세청 전송(발행 다음 날) 전이면 취소 후 재발행, 이후면 "
            "수정세금계산서. 매월 10일 마감 주의."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "세금계산서 발행 요청드립니다",
                        (
                            "10월 이용료에 대한 전자세금계산서를 발행해 주세요. 상호는 {company}, 담당자 메일은 "
                            "{email} 입니다."
                        ),
                    ),
                    (
                        "세금계산서 수정 요청",
                        (
                            "발행된 세금계산서의 사업자번호가 잘못되었습니다. 사업자등록증 첨부하니 수정 발행 "
                            "부탁드립니다."
                        ),
                    ),
                    (
                        "계산서가 안 왔어요",
                        "매달 1일에 오던 세금계산서가 이번 달에는 오지 않았습니다. 부가세 신고 때문에 급합니다.",
                    ),
                ),
                ask="사업자등록증 사본과 계산서를 받으실 메일 주소를 알려 주세요.",
                reply="첨부드립니다. 메일은 {email} 로 부탁드려요.",
                answer=(
                    "요청하신 내용으로 전자세금계산서를 발행했습니다. 담당자 메일과 홈택스에서 확인하실 "
                    "수 있습니다.\n"
                    "- 카드 결제분은 카드 매출전표가 증빙이므로 세금계산서를 중복해서 발행할 수 없습니다. "
                    "계좌이체와 가상계좌만 가능합니다.\n"
                    "- 매월 자동 발행을 원하시면 [설정 > 결제 > 사업자 정보]에서 '자동 발행'을 켜 주세요.\n"
                    "- 이미 국세청에 전송된 건은 수정세금계산서로 처리됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Tax invoice for October",
                        "Please issue the electronic tax invoice for {company}, to be sent to {email}.",
                    ),
                    (
                        "Wrong business number on invoice {invoice}",
                        "The registration number on our tax invoice is wrong. Certificate attached.",
                    ),
                ),
                answer=(
                    "The electronic tax invoice is issued; you find it in your mail and at Hometax.\n"
                    "- For card payments the card slip is the receipt, so no tax invoice can be issued in "
                    "addition; only bank transfers have one.\n"
                    "- For a monthly invoice switch on Settings > Billing > Business details > Issue "
                    "automatically.\n"
                    "- An invoice that was already sent to the tax office is corrected by an amended one."
                ),
            ),
        },
    ),
    Family(
        name="plan-change",
        area="billing",
        kind="Question",
        priority=1,
        tags=("plan", "billing"),
        product="Ondam Billing",
        note=(
            "다운그레이드 시 초과 채널은 비활성화되지만 데이터는 90일 보관. 연간 계약 중도 변경은 영업팀 확인 후 진행."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "요금제 변경 문의",
                        (
                            "비즈니스에서 스타터로 내리고 싶은데 남은 기간 금액은 어떻게 되나요? 판매 채널은 "
                            "{count}개 쓰고 있습니다."
                        ),
                    ),
                    (
                        "연간 결제 할인",
                        "월 결제에서 연간 결제로 바꾸면 얼마나 할인되나요? 중간에 해지하면 환불되는지도 궁금합니다.",
                    ),
                    ("요금제 업그레이드", "API를 쓰려면 어떤 요금제로 바꿔야 하나요? 지금 스타터입니다."),
                ),
                answer=(
                    "요금제는 [설정 > 결제 > 요금제]에서 직접 바꾸실 수 있습니다.\n"
                    "- 올릴 때: 즉시 적용되고 남은 기간만큼 일할 계산하여 차액만 결제됩니다.\n"
                    "- 내릴 때: 다음 결제일부터 적용되며, 초과된 판매 채널은 비활성화되지만 데이터는 90일 "
                    "동안 보관됩니다.\n"
                    "- 연간 결제는 2개월분(약 17%) 할인되고, 중도 해지 시 사용한 달을 월 요금으로 계산한 "
                    "나머지를 환불합니다.\n"
                    "API와 웹훅은 비즈니스 요금제부터 사용하실 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Downgrade to Starter",
                        "What happens to our {count} sales channels and the money already paid if we downgrade?",
                    ),
                    ("Annual billing discount", "How much do we save with annual billing, and can we cancel midway?"),
                ),
                answer=(
                    "You can change the plan under Settings > Billing > Plan.\n"
                    "- Upgrades apply at once; you pay the difference for the remaining days.\n"
                    "- Downgrades apply on the next billing day. Channels beyond the plan are switched "
                    "off; their data is kept for 90 days.\n"
                    "- Annual billing saves two months (about 17 %). If you cancel, used months are "
                    "charged at the monthly price and the rest is refunded.\n"
                    "API and webhooks need the Business plan."
                ),
            ),
        },
    ),
    Family(
        name="trial-charged",
        area="billing",
        kind="Refund",
        priority=2,
        tags=("trial", "refund"),
        product="Ondam Billing",
        note="체험 종료 후 7일 이내, 주문 수집 0건이면 전액 환불 가능(정책 BIL-3). 그 외에는 팀장 승인.",
        sides={
            "ko": Side(
                said=(
                    (
                        "무료체험인데 결제가 됐어요",
                        "14일 무료체험을 신청했는데 {date}에 {amount}원이 결제됐습니다. 쓰지도 않았으니 환불해 주세요.",
                    ),
                    (
                        "체험 종료 알림을 못 받았습니다",
                        "체험이 끝난다는 안내도 없이 자동으로 결제가 되는 게 맞나요? 취소해 주세요.",
                    ),
                    ("자동결제 해지", "무료체험 해지했다고 생각했는데 결제가 됐습니다. 해지는 어디서 하나요?"),
                ),
                answer=(
                    "체험 기간이 끝난 뒤 7일 이내이고 주문을 수집하지 않으셨기 때문에 전액 환불해 "
                    "드렸습니다. 카드 취소까지 영업일 3~5일이 걸립니다.\n"
                    "체험 종료 3일 전과 1일 전에 소유자 메일로 안내가 발송됩니다. 결제를 원하지 않으시면 "
                    "[설정 > 결제 > 구독 해지]에서 체험 기간 안에 해지해 주세요. 해지하셔도 체험은 끝나는 "
                    "날까지 이용하실 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Charged after free trial",
                        "I only wanted to try it. Now KRW {amount} was taken from card {card}. Please refund.",
                    ),
                    ("Trial turned into a subscription", "Nobody told me that the trial renews automatically."),
                ),
                answer=(
                    "You asked within 7 days after the trial and no orders were collected, so I refunded "
                    "the full amount; it takes 3 to 5 working days.\n"
                    "The owner gets a reminder 3 days and 1 day before a trial ends. To avoid the charge, "
                    "cancel under Settings > Billing > Cancel subscription; the trial goes on until its "
                    "last day."
                ),
            ),
        },
    ),
    Family(
        name="coupon-rejected",
        area="billing",
        kind="Question",
        priority=1,
        tags=("coupon", "billing"),
        product="Ondam Billing",
        note="쿠폰 ONDAM-WELCOME은 신규 가입 30일 이내만. 예외 적용은 마케팅(promo@ondam.example) 승인.",
        sides={
            "ko": Side(
                said=(
                    (
                        "쿠폰이 적용되지 않습니다",
                        "가입 축하 쿠폰 ONDAM-WELCOME 을 입력하면 '사용할 수 없는 쿠폰'이라고 나옵니다.",
                    ),
                    ("할인 코드 문의", "박람회에서 받은 할인 코드가 결제 화면에서 안 먹힙니다. 기한은 아직 남았어요."),
                    ("쿠폰 소급 적용", "쿠폰 입력을 깜빡하고 {amount}원을 결제했는데 나중에 적용할 수 있나요?"),
                ),
                answer=(
                    "쿠폰은 결제하기 전에 [설정 > 결제 > 쿠폰]에 등록해야 하고, 이미 결제한 금액에는 소급 "
                    "적용되지 않습니다.\n"
                    "- 가입 축하 쿠폰은 가입 후 30일 이내 첫 결제에만 쓸 수 있습니다.\n"
                    "- 다른 할인(연간 결제 등)과 함께 쓸 수 없습니다.\n"
                    "- 코드는 대문자와 하이픈까지 그대로 입력해 주세요.\n"
                    "이번에는 다음 달 요금에서 할인되도록 등록해 드렸습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Coupon code not accepted",
                        "ONDAM-WELCOME gives 'This coupon cannot be used'. I signed up on {date}.",
                    ),
                    ("Discount code from the fair", "The code printed on your flyer does not work at checkout."),
                ),
                answer=(
                    "A coupon has to be added under Settings > Billing > Coupons before a payment, and "
                    "not together with another discount.\n"
                    "- The welcome coupon is for the first payment within 30 days of signing up.\n"
                    "- Capital letters and hyphens matter.\n"
                    "I registered it so that it applies to your next invoice."
                ),
            ),
        },
    ),
    Family(
        name="cancel-subscription",
        area="billing",
        kind="Question",
        priority=2,
        tags=("cancel", "churn"),
        product="Ondam Billing",
        note="해지 사유 기록 필수(CRM). 3개월 일시정지 제안 가능: 월 9,900원. 대형 고객은 CSM에게 먼저 연락.",
        sides={
            "ko": Side(
                said=(
                    (
                        "구독 해지하고 싶습니다",
                        "쇼핑몰 운영을 잠시 쉬게 되어 구독을 해지하려고 합니다. 데이터 백업은 어떻게 받나요?",
                    ),
                    ("해지 신청", "해지 버튼을 눌러도 '미정산 금액이 있습니다'라고 나오면서 해지가 안 됩니다."),
                    ("서비스 해지 및 데이터 반출", "계약 만료에 맞춰 해지하고 주문 데이터를 모두 내려받고 싶습니다."),
                ),
                answer=(
                    "[설정 > 결제 > 구독 해지]에서 신청하시면 이번 결제 기간의 마지막 날까지 사용하신 뒤 "
                    "종료됩니다.\n"
                    "1. 해지 전에 [데이터 > 내보내기]에서 주문, 상품, 고객 목록을 내려받아 주세요.\n"
                    "2. 미정산 문자·알림톡 비용이 있으면 먼저 결제해야 해지됩니다.\n"
                    "3. 데이터는 해지 후 90일 동안 보관되고, 그 안에 돌아오시면 그대로 이어집니다.\n"
                    "잠시 쉬시는 것이라면 월 9,900원의 '일시정지'로 데이터를 유지할 수도 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Cancel subscription and export data",
                        "We pause our shop. How do we cancel and get a backup of all orders?",
                    ),
                    ("Can't cancel: outstanding balance", "The cancel button says there is an unsettled amount."),
                ),
                answer=(
                    "Cancel under Settings > Billing > Cancel subscription; everything works until the "
                    "end of the paid period.\n"
                    "1. Export orders, products and customers first under Data > Export.\n"
                    "2. Unsettled text-message fees have to be paid before.\n"
                    "3. Your data is kept for 90 days, should you come back.\n"
                    "For a break there is 'Pause' at KRW 9,900 a month."
                ),
            ),
        },
    ),
)
