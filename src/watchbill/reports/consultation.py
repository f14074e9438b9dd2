"""Checklist of the consultation that rules about staff need (labour contract law 4): discussed, negotiated, decided, told, outlets included."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """Labour contract law 4, second to fourth paragraph: each step with its date and proof."""

    profile = Profile(
        id="consultation",
        en="Checklist: consultation on the monitoring of look-ups",
        zh="民主程序核对表：查询监测制度",
        to="to_file",
        intro_en="Rules that directly concern the interests of staff are discussed with the staff's congress or with all staff, negotiated on an equal footing with the union or representatives, and made known.",
        intro_zh="直接涉及劳动者切身利益的规章制度，应当经职工代表大会或者全体职工讨论，与工会或者职工代表平等协商确定，并予以公示或者告知。",
        about="firm",
        fields=(
            Field(
                "processor",
                "Labour contract law 4",
                "劳动合同法第四条",
                "Employer",
                "用人单位",
                source="settings",
                of="name",
            ),
            Field(
                "draft_shared",
                "Labour contract law 4",
                "劳动合同法第四条第二款",
                "Draft handed out: when, to whom",
                "制度草案下发的时间和范围",
            ),
            Field(
                "discussed",
                "Labour contract law 4",
                "劳动合同法第四条第二款",
                "Discussed by the staff's congress or all staff: when, minutes",
                "职工代表大会或全体职工讨论的时间和会议记录",
            ),
            Field(
                "proposals",
                "Labour contract law 4",
                "劳动合同法第四条第二款",
                "Proposals made, and what became of each",
                "提出的方案和意见及采纳情况",
            ),
            Field(
                "negotiated",
                "Labour contract law 4",
                "劳动合同法第四条第二款",
                "Negotiated with the union or representatives: when, with whom",
                "与工会或职工代表平等协商的时间和参加人",
            ),
            Field(
                "objections",
                "Labour contract law 4",
                "劳动合同法第四条第三款",
                "Objections of the union or staff in practice",
                "实施过程中工会或职工提出的异议",
                needed="never",
            ),
            Field(
                "published",
                "Labour contract law 4",
                "劳动合同法第四条第四款",
                "Made known: when, how, proof",
                "公示或告知的时间、方式和凭证",
            ),
            Field(
                "assessed",
                "PIPL 55",
                "个人信息保护法第五十五条",
                "Impact assessment done",
                "是否完成个人信息保护影响评估",
                choices=("yes", "no", "not_yet"),
            ),
            Field(
                "notice_given",
                "PIPL 17",
                "个人信息保护法第十七条",
                "Notice given to every member of staff",
                "是否已告知每名员工",
                choices=("yes", "no", "not_yet"),
            ),
            Field(
                "roles_text",
                "PIPL 20, 21",
                "个人信息保护法第二十条、第二十一条",
                "Franchise outlets: who is the employer there",
                "加盟网点的用工主体",
                source="settings",
                of="franchise_roles",
            ),
            Field(
                "outlets_included",
                "Labour contract law 4",
                "劳动合同法第四条",
                "Franchise outlets did the same for their own staff",
                "加盟网点是否对其员工履行同样程序",
                choices=("yes", "no", "not_yet"),
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
