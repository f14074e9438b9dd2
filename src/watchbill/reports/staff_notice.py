"""Notice to staff that their look-ups are monitored (PIPL 17, 24; labour contract law 4): who, what, what for, how long, rights, roles."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """PIPL 17(1): who, purpose, manner, categories, retention, rights; 24: automated decisions are explained and can be contested."""

    profile = Profile(
        id="staff_notice",
        en="Notice to staff: look-ups of customers' data are logged and checked",
        zh="员工告知书：用户信息查询的记录与检查",
        to="to_all_staff",
        intro_en="Look-ups of customers' data in our systems are logged and compared with the work that calls for them. This notice says how, and what your rights are.",
        intro_zh="我单位对业务系统中的用户信息查询进行记录，并与相应业务进行核对。现将处理规则和您的权利告知如下。",
        about="firm",
        fields=(
            Field(
                "processor",
                "PIPL 17(1)",
                "个人信息保护法第十七条第一项",
                "Who processes your data",
                "处理者",
                source="settings",
                of="name",
            ),
            Field(
                "processing",
                "PIPL 17(2)",
                "个人信息保护法第十七条第二项",
                "What for, how and which data",
                "处理目的、方式和信息种类",
                source="ledger",
                of="monitored",
            ),
            Field("retention", "PIPL 17(2)", "个人信息保护法第十七条第二项", "How long it is kept", "保存期限"),
            Field(
                "automated",
                "PIPL 24",
                "个人信息保护法第二十四条",
                "Automated measures",
                "自动化措施",
                source="ledger",
                of="in_force",
            ),
            Field(
                "contest",
                "PIPL 24, 50",
                "个人信息保护法第二十四条、第五十条",
                "How to ask for an explanation, and contest a measure",
                "如何要求说明、提出异议",
                contact=True,
            ),
            Field(
                "rights",
                "PIPL 17(3), 44-50",
                "个人信息保护法第十七条第三项、第四十四条至第五十条",
                "Your rights and how to use them",
                "您的权利及行使方式",
                contact=True,
            ),
            Field(
                "roles",
                "PIPL 20, 21",
                "个人信息保护法第二十条、第二十一条",
                "Roles of headquarters and franchise outlets",
                "总部与加盟网点的角色",
                choices=("joint", "entrusted", "separate"),
            ),
            Field(
                "roles_text",
                "PIPL 20, 21",
                "个人信息保护法第二十条、第二十一条",
                "Who is whose employer, and who sees what",
                "用工主体及信息共享范围",
                source="settings",
                of="franchise_roles",
            ),
            Field(
                "contact",
                "PIPL 17(1)",
                "个人信息保护法第十七条第一项",
                "Contact",
                "联系方式",
                source="settings",
                of="contact",
                contact=True,
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
